package federation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"gatehouse/provider/interaction"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// The dry run of `gatehouse upstream test`: an operator walks to a provider in a browser and reads what it said and what would become of it. Nobody is signed in, nothing is
// stored but the answer, which the command waits for and which goes with the interaction.

// ProofTest is where the interaction of a dry run keeps its outcome: a JSON object with the members raw, set and gone, or error.
const ProofTest = "test"

// Outcome is what a dry run found.
type Outcome struct {
	ID            string         `json:"id,omitempty"`
	Label         string         `json:"label,omitempty"`
	Email         string         `json:"email,omitempty"`
	EmailVerified bool           `json:"email_verified"`
	ACR           string         `json:"acr,omitempty"`
	AMR           []string       `json:"amr,omitempty"`
	Raw           map[string]any `json:"raw,omitempty"`
	Set           map[string]any `json:"set,omitempty"`
	Gone          []string       `json:"gone,omitempty"`
	Error         string         `json:"error,omitempty"`
}

// beginTest takes the link that the command printed. Its interaction is bound to the key in the link until the first browser opens it, and to that browser from then on.
func (f *Federation) beginTest(w http.ResponseWriter, r *http.Request) error {
	p, err := f.of(r)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	flow, err := f.Flows.Load(r.Context(), query.Get("interaction"), web.Hash(query.Get("key")))
	if err != nil {
		return f.lost(w, r, err)
	}
	if flow.Kind != storage.InteractionTest {
		return startAgain(w, r)
	}
	if err := f.limit(r); err != nil {
		return err
	}
	browser := web.Binder(w, r)
	if err := f.update(r.Context(), flow, func(i *storage.Interaction) { i.Binder = browser }); err != nil {
		return err
	}
	return f.walk(w, r, p, flow)
}

func (f *Federation) testArrived(w http.ResponseWriter, r *http.Request, a *arrival) error {
	mapped := a.provider.Map(a.External)
	err := f.keepOutcome(r.Context(), a.flow, &Outcome{
		ID: a.ID, Label: a.Label, Email: a.Email, EmailVerified: a.EmailVerified, ACR: a.provider.acr(a.ACR), AMR: methods(a.AMR), Raw: a.Claims, Set: mapped.Set, Gone: mapped.Gone,
	})
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, templates.Done{Heading: templates.Say("upstream.works"), Message: templates.Say("upstream.works_more")})
}

func (f *Federation) testFailed(ctx context.Context, flow *storage.Interaction, refusal *upstream.Refusal) error {
	return f.keepOutcome(ctx, flow, &Outcome{Error: refusal.Error()})
}

func (f *Federation) keepOutcome(ctx context.Context, flow *storage.Interaction, o *Outcome) error {
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode outcome: %w", err)
	}
	return f.update(ctx, flow, func(i *storage.Interaction) { interaction.Prove(i, ProofTest, string(text)) })
}
