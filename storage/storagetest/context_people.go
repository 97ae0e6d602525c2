package storagetest

import (
	"context"
	"time"

	"gatehouse/storage"
)

// peopleWritesWith are the writes of what belongs to a person.
func peopleWritesWith(ctx context.Context, f *fixture, h *home) map[string]func() error {
	now, subject := f.clock.Now(), h.user.Subject
	return map[string]func() error{
		"FailPassword":  func() error { _, err := f.FailPassword(ctx, subject, now); return err },
		"ClearFailures": func() error { return f.ClearFailures(ctx, subject, 0) },
		"ImportUsers": func() error {
			_, err := f.ImportUsers(ctx, []storage.ImportedUser{newcomer()})
			return err
		},
		"CreateFactor":     func() error { return f.CreateFactor(ctx, f.unsavedFactor(subject, storage.FactorTOTP), 0) },
		"UseFactor":        func() error { return f.UseFactor(ctx, h.factor.ID, 8, nil, now) },
		"RenameFactor":     func() error { return f.RenameFactor(ctx, subject, h.factor.ID, "x") },
		"DeleteFactor":     func() error { return f.DeleteFactor(ctx, subject, h.factor.ID, false, everything) },
		"SetRecoveryCodes": func() error { return f.SetRecoveryCodes(ctx, subject, nil, 0) },
		"UseRecoveryCode":  func() error { _, err := f.UseRecoveryCode(ctx, subject, "a"); return err },
		"CreateTicket":     func() error { return f.CreateTicket(ctx, f.unsavedTicket(storage.TicketEmail, h.user)) },
		"ConsumeTicket":    func() error { _, err := f.ConsumeTicket(ctx, h.ticket.Kind, h.ticket.Signature); return err },
		"RevertUser": func() error {
			n := f.unsavedTicket(storage.TicketRevert, h.user)
			if err := f.CreateTicket(bg, n); err != nil {
				return err
			}
			_, err := f.RevertUser(ctx, n.Signature, now)
			return err
		},
		"ReturnTickets": func() error { _, err := f.ReturnTickets(ctx, subject, "a@example.org"); return err },
		"RevokeTickets": func() error { return f.RevokeTickets(ctx, subject) },
		"QueueMail":     func() error { return f.QueueMail(ctx, f.unsavedMail(0)) },
		"ClaimMails":    func() error { _, err := f.ClaimMails(ctx, now, time.Minute, 10); return err },
		"RetryMail":     func() error { return f.RetryMail(ctx, name("mail"), now) },
		"FinishMail":    func() error { return f.FinishMail(ctx, name("mail")) },
		"AddActivity":   func() error { return f.AddActivity(ctx, f.unsavedActivity(subject)) },
		"CreateDevice":  func() error { return f.CreateDevice(ctx, f.unsavedDevice(subject)) },
		"UseDevice":     func() error { _, err := f.UseDevice(ctx, subject, "old", "new", now); return err },
		"DeleteDevice":  func() error { return f.DeleteDevice(ctx, subject, "") },
	}
}
