package interop

import "testing"

// features switches on what is off by default.
var features = []string{
	"GATEHOUSE_REGISTRATION_MODE=open", "GATEHOUSE_LIMITS_REGISTRATION=0",
	"GATEHOUSE_OAUTH_RESPONSE_TYPES=code,id_token,id_token token,code id_token,code token,code id_token token",
}

func TestNodeClients(t *testing.T) {
	requireNode(t)
	ca := newAuthority(t)
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			s := start(t, scheme, ca)
			for name, want := range scripts {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					s.script(t, name+".mjs", want)
				})
			}
		})
	}
}

// TestKeysRotateUnderNodeClients has a server of its own, whose keys nobody has rotated before.
func TestKeysRotateUnderNodeClients(t *testing.T) {
	requireNode(t)
	t.Parallel()
	start(t, "https", newAuthority(t)).script(t, "rotation.mjs", rotation)
}
