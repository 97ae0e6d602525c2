package keys

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/storage"
)

// plan is one change of the timetable, computed from all rows and the clock, without I/O. The living keys of an algorithm form a line in order of
// activation; each retires when its successor activates. link keeps that true, so every change is: insert, move or take out a key, then link.
type plan struct {
	now          time.Time
	rotateEvery  time.Duration
	longestToken time.Duration

	keys    []*storage.SigningKey // copies
	changed map[*storage.SigningKey]bool
	made    []*storage.SigningKey
	revoked []*storage.SigningKey
	// pool holds keys that were generated for this change; missing counts those that it lacked.
	pool    map[string][]*storage.SigningKey
	missing map[string]int
}

func (s *Set) newPlan(rows []*storage.SigningKey, pool map[string][]*storage.SigningKey) *plan {
	p := &plan{
		now: s.now(), rotateEvery: s.rotateEvery, longestToken: s.longestToken,
		changed: map[*storage.SigningKey]bool{}, pool: map[string][]*storage.SigningKey{}, missing: map[string]int{},
	}
	for _, row := range rows {
		c := *row
		p.keys = append(p.keys, &c)
	}
	for alg, keys := range pool {
		p.pool[alg] = slices.Clone(keys)
	}
	return p
}

// changes returns the rows to write, in a stable order.
func (p *plan) changes() []*storage.SigningKey {
	var out []*storage.SigningKey
	for _, k := range p.keys {
		if p.changed[k] {
			out = append(out, k)
		}
	}
	return out
}

// line returns the keys of alg that sign now or later.
func (p *plan) line(alg string) []*storage.SigningKey {
	var out []*storage.SigningKey
	for _, k := range p.keys {
		if k.Alg == alg && k.RevokedAt.IsZero() && (k.RetireAt.IsZero() || k.RetireAt.After(p.now)) {
			out = append(out, k)
		}
	}
	return sorted(out)
}

// split cuts the line of alg into the key that signs now (nil if none) and those that come later.
func (p *plan) split(alg string) (active *storage.SigningKey, later []*storage.SigningKey) {
	line := p.line(alg)
	n := 0
	for n < len(line) && !line[n].ActivateAt.After(p.now) {
		active = line[n]
		n++
	}
	return active, line[n:]
}

// insert takes a generated key into the timetable.
func (p *plan) insert(alg string, publish, activate time.Time) {
	k := &storage.SigningKey{Alg: alg} // stands in until a key has been generated; such a plan is never written
	if ready := p.pool[alg]; len(ready) > 0 {
		c := *ready[0]
		k, p.pool[alg] = &c, ready[1:]
	} else {
		p.missing[alg]++
	}
	k.Created, k.PublishAt, k.ActivateAt = p.now, publish, activate
	p.keys = append(p.keys, k)
	p.made = append(p.made, k)
	p.changed[k] = true
}

// move changes when a key activates; it is published then at the latest.
func (p *plan) move(k *storage.SigningKey, publish, activate time.Time) {
	if k.PublishAt.Equal(publish) && k.ActivateAt.Equal(activate) {
		return
	}
	k.PublishAt, k.ActivateAt = publish, activate
	p.changed[k] = true
}

// ensureActive sees to it that alg can sign now: with the key that is to be the next, or with a new one.
func (p *plan) ensureActive(alg string) {
	active, later := p.split(alg)
	switch {
	case active != nil:
	case len(later) > 0:
		p.move(later[0], earlier(later[0].PublishAt, p.now), p.now)
	default:
		p.insert(alg, p.now, p.now)
	}
	p.link(alg)
}

// ensureNext sees to it that alg has a next key. It is published as soon as it is made, so that also a rotation on demand takes a key that every client has had the
// time to see, and it signs publishAhead after that at the soonest. One that is further away follows a changed rotateEvery.
func (p *plan) ensureNext(alg string) {
	active, later := p.split(alg)
	soonest := p.now.Add(min(publishAhead, p.rotateEvery/2))
	due := active.ActivateAt.Add(p.rotateEvery)
	if due.Before(soonest) {
		due = soonest
	}
	switch {
	case len(later) == 0:
		p.insert(alg, p.now, due)
	case later[0].ActivateAt.After(soonest):
		p.move(later[0], earlier(later[0].PublishAt, p.now), due)
	}
	p.link(alg)
}

// rotate activates the next key of alg in rotateDelay and plans and publishes a new next one.
func (p *plan) rotate(alg string) {
	at := p.now.Add(rotateDelay)
	_, later := p.split(alg)
	// A key that activates before then belongs to a rotation that is on its way; the next is the one behind it.
	waiting := slices.DeleteFunc(later, func(k *storage.SigningKey) bool { return !k.ActivateAt.After(at) })
	if len(waiting) == 0 {
		p.insert(alg, p.now, at)
	} else {
		p.move(waiting[0], earlier(waiting[0].PublishAt, p.now), at)
	}
	if len(waiting) < 2 {
		p.insert(alg, p.now, at.Add(p.rotateEvery))
	}
	p.link(alg)
}

// revoke takes k out of everything.
func (p *plan) revoke(k *storage.SigningKey) {
	k.RevokedAt, k.Private = p.now, nil
	if k.RetireAt.IsZero() || k.RetireAt.After(p.now) {
		k.RetireAt = p.now
	}
	if k.RemoveAt.IsZero() || k.RemoveAt.After(p.now) {
		k.RemoveAt = p.now
	}
	p.revoked = append(p.revoked, k)
	p.changed[k] = true
}

// abandon ends the line of an algorithm that is no longer configured.
func (p *plan) abandon(alg string) {
	for _, k := range p.line(alg) {
		k.RetireAt, k.RemoveAt = p.now, p.removeAt(p.now)
		p.changed[k] = true
	}
}

// erase drops private halves that nothing needs any more.
func (p *plan) erase() {
	for _, k := range p.keys {
		if k.Private != nil && !k.RetireAt.IsZero() && !p.now.Before(k.RetireAt.Add(eraseAfter)) {
			k.Private = nil
			p.changed[k] = true
		}
	}
}

// link lets every key of the line retire when its successor activates, and the last one never.
func (p *plan) link(alg string) {
	line := p.line(alg)
	for i, k := range line {
		var retire, remove time.Time
		if i+1 < len(line) {
			retire = line[i+1].ActivateAt
			remove = p.removeAt(retire)
		}
		if !k.RetireAt.Equal(retire) || !k.RemoveAt.Equal(remove) {
			k.RetireAt, k.RemoveAt = retire, remove
			p.changed[k] = true
		}
	}
}

func (p *plan) removeAt(retire time.Time) time.Time { return retire.Add(p.longestToken + removeSlack) }

// sorted returns the keys in order of activation; nodes agree on it even for equal times.
func sorted(keys []*storage.SigningKey) []*storage.SigningKey {
	out := slices.Clone(keys)
	slices.SortStableFunc(out, func(a, b *storage.SigningKey) int {
		return cmp.Or(a.ActivateAt.Compare(b.ActivateAt), a.PublishAt.Compare(b.PublishAt), cmp.Compare(a.KID, b.KID))
	})
	return out
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
