package playground

import "gatehouse/provider/web"

// Mount implements web.Feature.
func (p *Playground) Mount(m *web.Mux) { m.Handle(root, p) }
