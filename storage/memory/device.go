package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// CreateDevice implements storage.DeviceStore.
func (s *Store) CreateDevice(ctx context.Context, d *storage.Device) error {
	must(d.ID != "" && d.Subject != "" && d.CookieHash != "" && !d.Expires.IsZero(), "an incomplete device %q of %q until %v", d.ID, d.Subject, d.Expires)
	end, err := s.begin(ctx, "CreateDevice")
	if err != nil {
		return err
	}
	defer end()
	if s.users[d.Subject] == nil {
		return storage.ErrNotFound
	}
	for _, o := range s.devices {
		if o.ID == d.ID || o.CookieHash == d.CookieHash {
			return exists("id")
		}
	}
	others := s.devicesOf(d.Subject, func(*storage.Device) bool { return true })
	for _, o := range others[min(len(others), storage.MaxDevices-1):] {
		delete(s.devices, o.ID)
	}
	s.devices[d.ID] = clone(d)
	return nil
}

// devicesOf returns those of a user's devices that are wanted, newest use first.
func (s *Store) devicesOf(subject string, wanted func(*storage.Device) bool) []*storage.Device {
	var out []*storage.Device
	for _, d := range s.devices {
		if d.Subject == subject && wanted(d) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *storage.Device) int {
		return cmp.Or(b.LastUsed.Compare(a.LastUsed), strings.Compare(b.ID, a.ID))
	})
	return out
}

// trusted tells whether a device counts at a time.
func (s *Store) trusted(d *storage.Device, at time.Time) bool {
	return micro(at).Before(d.Expires) && s.users[d.Subject].record.Epoch == d.Epoch
}

// UseDevice implements storage.DeviceStore.
func (s *Store) UseDevice(ctx context.Context, subject, old, next string, at time.Time) (*storage.Device, error) {
	must(next != "" && next != old, "a device's cookie that does not change")
	end, err := s.begin(ctx, "UseDevice")
	if err != nil {
		return nil, err
	}
	defer end()
	for _, d := range s.devicesOf(subject, func(d *storage.Device) bool { return s.trusted(d, at) }) {
		switch {
		case old == "":
		case old == d.CookieHash, old == d.Previous && d.LastUsed.After(micro(at.Add(-storage.DeviceGrace))):
			d.CookieHash, d.Previous, d.LastUsed = next, d.CookieHash, later(d.LastUsed, micro(at))
			return clone(d), nil
		case old == d.Previous:
			delete(s.devices, d.ID)
			return nil, storage.ErrConsumed
		}
	}
	return nil, storage.ErrNotFound
}

// DevicesOf implements storage.DeviceStore.
func (s *Store) DevicesOf(ctx context.Context, subject string) ([]*storage.Device, error) {
	end, err := s.begin(ctx, "DevicesOf")
	if err != nil {
		return nil, err
	}
	defer end()
	return clone(s.devicesOf(subject, func(d *storage.Device) bool { return s.trusted(d, s.clock()) })), nil
}

// DeleteDevice implements storage.DeviceStore.
func (s *Store) DeleteDevice(ctx context.Context, subject, id string) error {
	end, err := s.begin(ctx, "DeleteDevice")
	if err != nil {
		return err
	}
	defer end()
	maps.DeleteFunc(s.devices, func(_ string, d *storage.Device) bool { return d.Subject == subject && (id == "" || d.ID == id) })
	return nil
}
