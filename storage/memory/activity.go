package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"gatehouse/storage"
)

// AddActivity implements storage.ActivityStore.
func (s *Store) AddActivity(ctx context.Context, a *storage.Activity) error {
	must(a.ID != "" && a.Subject != "" && a.Kind != "", "an incomplete activity %q of kind %q for %q", a.ID, a.Kind, a.Subject)
	end, err := s.begin(ctx, "AddActivity")
	if err != nil {
		return err
	}
	defer end()
	if s.users[a.Subject] == nil {
		return nil
	}
	if s.activities[a.ID] != nil {
		return exists("id")
	}
	s.activities[a.ID] = clone(a)
	for _, old := range s.activitiesOf(a.Subject, storage.MaxActivities) {
		delete(s.activities, old.ID)
	}
	return nil
}

// activitiesOf returns a user's activities, newest first, without the first ones.
func (s *Store) activitiesOf(subject string, skip int) []*storage.Activity {
	var out []*storage.Activity
	for _, a := range s.activities {
		if a.Subject == subject {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *storage.Activity) int { return cmp.Or(b.Time.Compare(a.Time), strings.Compare(b.ID, a.ID)) })
	return out[min(len(out), skip):]
}

// Activities implements storage.ActivityStore.
func (s *Store) Activities(ctx context.Context, subject string, limit int) ([]*storage.Activity, error) {
	end, err := s.begin(ctx, "Activities")
	if err != nil {
		return nil, err
	}
	defer end()
	all := s.activitiesOf(subject, 0)
	return clone(all[:min(len(all), limit)]), nil
}
