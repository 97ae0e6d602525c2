package mail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

const (
	// pollEvery finds what other processes queued and what is due again; what this one queues wakes it.
	pollEvery = 2 * time.Second
	// maxRuns bounds the connections of this process to the mail server, batch what one of them carries before it is closed.
	maxRuns, batch = 4, 4
	// openTimeout and sendTimeout end a connection that hangs. A batch that takes them all is done before its lease ends, so that no other node sends the same again.
	openTimeout, sendTimeout = 20 * time.Second, 20 * time.Second
	lease                    = 3 * time.Minute
	// stopGrace is how long a delivery that is under way may go on when the server stops: one that is cut off between the last word and its answer is made twice.
	stopGrace = 3 * time.Second
	// settleTimeout is for the statement after an attempt.
	settleTimeout = 10 * time.Second
)

// backOff is how long the next attempt waits after the first, the second and so on, give or take a fifth. The last one repeats until the mail expires.
var backOff = []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}

// Wake makes Run look at the queue at once: something may have been put in. It never blocks.
func (m *Mailer) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run works off the queue until ctx ends; then it gives back what it holds, so that another node, or the next start, goes on at once. report hears of everything that kept
// mail from going out, other than a message that was refused, and as nil of every success.
func (m *Mailer) Run(ctx context.Context, report func(error)) {
	if !m.On() {
		<-ctx.Done()
		return
	}
	var running sync.WaitGroup
	defer running.Wait()
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		more, err := m.claim(ctx, &running, report)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			report(err)
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		case <-poll.C:
		}
	}
}

// claim takes what is due and begins with it, if a connection is free. more says that there may be more that could be taken at once.
func (m *Mailer) claim(ctx context.Context, running *sync.WaitGroup, report func(error)) (more bool, err error) {
	select {
	case m.slots <- struct{}{}:
	default:
		return false, nil // whoever makes room wakes us
	}
	limited, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	rows, err := m.o.Store.ClaimMails(limited, m.o.Now(), lease, batch)
	if err != nil || len(rows) == 0 {
		<-m.slots
		if err != nil {
			return false, fmt.Errorf("claim mails: %w", err)
		}
		return false, nil
	}
	running.Go(func() {
		defer m.Wake()
		defer func() { <-m.slots }()
		report(m.carry(ctx, rows))
	})
	return len(rows) == batch, nil
}

// carry delivers a batch over one connection. When that breaks, the message it broke at waits for its next attempt, and those behind it go back into the queue at once.
func (m *Mailer) carry(ctx context.Context, rows []*storage.Mail) error {
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	run, err := m.o.Carrier.Open(opening)
	cancel()
	if err != nil {
		return errors.Join(fmt.Errorf("reach mail server: %w", err), m.postpone(ctx, rows))
	}
	defer run.Close()
	var failed error
	for i, row := range rows {
		if ctx.Err() != nil {
			return m.giveBack(ctx, rows[i:])
		}
		broken, err := m.deliver(ctx, run, row)
		if failed = errors.Join(failed, err); broken {
			return errors.Join(failed, m.giveBack(ctx, rows[i+1:]))
		}
	}
	return failed
}

// deliver brings one message a step further. broken says that the connection is of no more use.
func (m *Mailer) deliver(ctx context.Context, run Run, row *storage.Mail) (broken bool, err error) {
	message, err := m.open(row)
	switch {
	case errors.Is(err, seal.ErrUnknownKey): // another node, or the next start, may have the key
		return false, errors.Join(fmt.Errorf("open mail: %w", err), m.postpone(ctx, []*storage.Mail{row}))
	case err != nil:
		return false, m.finish(ctx, row, "mail.given_up", err.Error())
	}
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendTimeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(m.stopGrace, cancel) })()
	err = run.Deliver(sending, message)
	var refused *Refused
	switch {
	case err == nil:
		return false, m.finish(ctx, row, "mail.sent", "")
	case errors.As(err, &refused):
		return false, m.finish(ctx, row, "mail.refused", refused.Reason)
	}
	return true, errors.Join(fmt.Errorf("deliver mail: %w", err), m.postpone(ctx, []*storage.Mail{row}))
}

// postpone makes messages wait for their next attempt, or ends them if they will be worth nothing by then.
func (m *Mailer) postpone(ctx context.Context, rows []*storage.Mail) (err error) {
	for _, row := range rows {
		next := m.o.Now().Add(pause(row.Attempts))
		switch {
		case ctx.Err() != nil: // we are stopping; nothing is known of the server
			err = errors.Join(err, m.retry(ctx, row, m.o.Now()))
		case next.Before(row.Expires):
			err = errors.Join(err, m.retry(ctx, row, next))
		default:
			err = errors.Join(err, m.finish(ctx, row, "mail.given_up", "it expires before the next attempt"))
		}
	}
	return err
}

// giveBack makes messages due at once.
func (m *Mailer) giveBack(ctx context.Context, rows []*storage.Mail) (err error) {
	for _, row := range rows {
		err = errors.Join(err, m.retry(ctx, row, m.o.Now()))
	}
	return err
}

func pause(attempts int) time.Duration {
	base := backOff[min(max(attempts, 1), len(backOff))-1]
	return base*4/5 + rand.N(base*2/5)
}

func (m *Mailer) retry(ctx context.Context, row *storage.Mail, next time.Time) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := m.o.Store.RetryMail(limited, row.ID, next); err != nil {
		return fmt.Errorf("put mail back: %w", err)
	}
	return nil
}

// finish takes a message out of the queue and says what became of it, by its kind alone.
func (m *Mailer) finish(ctx context.Context, row *storage.Mail, event, reason string) error {
	result := "ok"
	if reason != "" {
		result, reason = "failed", ": "+reason
	}
	m.o.Audit.Record(ctx, audit.Event{Name: event, Target: row.ID, Result: result, Reason: row.Kind + reason})
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	if err := m.o.Store.FinishMail(limited, row.ID); err != nil {
		return fmt.Errorf("finish mail: %w", err)
	}
	return nil
}
