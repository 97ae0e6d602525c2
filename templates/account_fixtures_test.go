package templates

import (
	"strings"
	"time"

	"gatehouse/provider/credential"
)

// frame is what the pages of one person's account have in common.
func frame() AccountFrame {
	return AccountFrame{User: UserView{Name: "Mira Lindqvist", Email: "mira@northwind.example", Username: "mira"}}
}

// longFrame is that of somebody with long names, after something was done and something was not.
func longFrame() AccountFrame {
	return AccountFrame{User: UserView{Email: longEmail}, Done: Say("account.done_password"), Error: Say("account.factor_required")}
}

func thisDevice() DeviceView {
	return DeviceView{ID: "s1", Browser: "Firefox", System: "Linux", Address: "203.0.113.7", Place: PlaceView{"Vaduz", "Liechtenstein"}, Since: since, LastSeen: since.Add(time.Hour), Current: true}
}

func account() Account {
	return Account{
		AccountFrame: frame(), Session: thisDevice(), Accounts: 2,
		Notices: []NoticeView{{ID: "n1", Text: Say("account.reuse", "App", "Calendar")}},
		Advice:  []AccountLink{{Title: Say("account.advice_factor"), Value: Say("account.advice_factor_why"), Path: "/account/security", Urgent: true}},
		Overview: []AccountLink{
			{Title: Say("account.glance_password"), Value: Say("account.password_since", "Date", Date(since)), Path: "/account/security"},
			{Title: Say("account.glance_factors"), Value: Say("account.glance_factors_none"), Path: "/account/security"},
			{Title: Say("account.glance_devices"), Value: Say("account.glance_count", "Count", 2), Path: "/account/sessions"},
			{Title: Say("account.glance_apps"), Value: Say("account.glance_count", "Count", 3), Path: "/account/apps"},
		},
	}
}

func accountApps() AccountApps {
	return AccountApps{AccountFrame: frame(), Connected: []ConnectedApp{
		{ClientID: "notes", Name: "Acme Notes", Scopes: []string{"openid", "email", "offline_access"}, Since: since, LastUsed: since.AddDate(0, 1, 0), OpenURL: "https://notes.example/login?iss=https%3A%2F%2Fid.example"},
		{ClientID: "shop", Name: "Acme Shop", Scopes: []string{"openid", "offline_access"}, LastUsed: since},
		{ClientID: "cal", Name: "Calendar", Scopes: []string{"openid", "calendar.read"}, Since: since},
	}}
}

func accountSecurity() AccountSecurity {
	return AccountSecurity{
		AccountFrame: frame(), PasswordOffered: true, PasswordSet: since, TOTPOffered: true, PasskeysOffered: true, CodesOffered: true, Codes: 2,
		Factors: []FactorView{
			{ID: "f1", Kind: "totp", Name: "Phone", Since: since, LastUsed: since.AddDate(0, 0, 7)}, {ID: "f3", Kind: "passkey", Name: "Laptop", Since: since},
			{ID: "f2", Kind: "key", Name: "Blue key", Since: since},
		},
		Devices: []DeviceView{{ID: "d1", Browser: "Safari", System: "iPhone", Address: "2001:db8::1:2:3:4", Place: PlaceView{City: "Uppsala"}, Since: since, LastSeen: since}},
	}
}

func providerAccount() AccountSecurity {
	page := accountSecurity()
	page.Identities = []IdentityView{
		{Upstream: "google", Name: "Google", Style: "google", Label: "mira.lindqvist@gmail.example", ExternalID: "10769150350006150715113082367", Since: since, LastUsed: since.AddDate(0, 0, 7), Removable: true},
		{Upstream: "github", Name: "GitHub", Style: "github", Label: "miral", ExternalID: "583231", Since: since, Removable: true},
	}
	page.Linkable = []UpstreamButton{{ID: "gitlab", Name: "GitLab", Style: "gitlab"}, {ID: "dead", Name: "Old Directory", Down: true}}
	return page
}

func accountSessions() AccountSessions {
	other := DeviceView{ID: "s2", Browser: "Samsung Internet", System: "Android", Address: "2001:db8:1234:5678:9abc:def0:1234:5678", Place: PlaceView{strings.Repeat("Llanfairpwllgwyngyll", 3) + "…", "Wales"}, Since: since, LastSeen: since, Idle: true}
	return AccountSessions{AccountFrame: frame(), Accounts: 2, Sessions: []DeviceView{thisDevice(), other, {ID: "s3", Browser: "Safari", System: "iPad", Address: "198.51.100.4", Place: PlaceView{Country: "Portugal"}, Since: since, LastSeen: since, Remembered: true}}}
}

func accountProfile() AccountProfile {
	return AccountProfile{
		AccountFrame: frame(), MailOffered: true, Verified: true,
		Fields: []ProfileField{
			{Name: "name", Label: Say("account.field_name"), Value: "Mira Lindqvist", Type: "text", Autocomplete: "name"},
			{Name: "website", Label: Say("account.field_website"), Hint: Say("account.hint_web"), Value: "https://mira.example", Type: "url", Autocomplete: "url"},
			{Name: "phone_number", Label: Say("account.field_phone_number"), Value: "abc", Error: Say("account.wrong_phone_number"), Type: "tel", Autocomplete: "tel"},
		},
		Languages: []Language{{Tag: "de", Name: "Deutsch"}, {Tag: "en", Name: "English", Chosen: true}},
	}
}

func accountActivity() AccountActivity {
	device := thisDevice()
	return AccountActivity{AccountFrame: frame(), Lines: []ActivityView{
		{What: Say("account.did_login_app", "App", "Acme Notes"), Time: since, Device: device},
		{What: Say("account.did_factor_enrolled"), Detail: "Blue key", Time: since, Device: device},
		{What: Say("account.did_session_ended"), Time: since, Device: DeviceView{Address: "198.51.100.99"}},
		{What: Say("account.did_email_changed"), Detail: longEmail, Time: since, Device: device},
	}}
}

// accountExamples are the pages of the account.
func accountExamples(add func(string, Page)) {
	long := longClient()
	add("account", account())
	add("account-empty", Account{AccountFrame: longFrame()})
	add("account-profile", accountProfile())
	add("account-profile-empty", AccountProfile{AccountFrame: longFrame()})
	add("account-profile-mail", AccountProfile{AccountFrame: frame(), MailOffered: true, Email: "x", Pending: "augusta@example.org", EmailError: Say("account.email_wrong")})
	add("account-security", accountSecurity())
	add("account-security-providers", providerAccount())
	add("account-security-last", AccountSecurity{
		AccountFrame: longFrame(), PasswordOffered: true,
		Identities: []IdentityView{{Upstream: "long", Name: long.Name, Label: longEmail, ExternalID: "1", Since: since}}, Linkable: []UpstreamButton{{ID: "long", Name: long.Name}},
		Factors: []FactorView{{ID: "f1", Kind: "passkey", Name: strings.Repeat("long", 16), Since: since}},
	})
	add("account-password", AccountPassword{AccountFrame: frame(), Change: true, Login: "mira@northwind.example", Hint: PasswordHint(15)})
	add("account-password-error", AccountPassword{AccountFrame: AccountFrame{Error: Say("account.password_differs")}, Login: longEmail, Hint: PasswordHint(8)})
	add("account-authenticator", AccountAuthenticator{AccountFrame: frame(), QRSize: drawnQR.Size, QRPath: drawnQR.Path, Secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP", Pending: "sealed", Name: "Phone"})
	add("account-passkey", AccountPasskey{AccountFrame: frame(), Options: `{"challenge":"AA"}`, State: "sealed"})
	add("account-passkey-error", AccountPasskey{AccountFrame: longFrame(), Options: `{"challenge":"AA"}`, State: "sealed"})
	add("account-codes", AccountCodes{AccountFrame: AccountFrame{User: frame().User, Done: Say("account.done_first_factor")}, Codes: tenCodes})
	add("account-codes-new", AccountCodes{AccountFrame: frame(), Left: 3})
	add("account-sessions", accountSessions())
	add("account-sessions-one", AccountSessions{AccountFrame: frame(), Accounts: 2, Sessions: []DeviceView{{ID: "s1", Current: true}}})
	add("account-activity", accountActivity())
	add("account-activity-empty", AccountActivity{AccountFrame: longFrame()})
	add("account-apps", accountApps())
	add("account-apps-empty", AccountApps{AccountFrame: longFrame()})
	add("account-data", AccountData{AccountFrame: frame(), DeleteOffered: true, Confirm: "mira@northwind.example"})
	add("account-data-error", AccountData{AccountFrame: longFrame(), DeleteOffered: true, Confirm: longEmail})
	add("account-data-kept", AccountData{AccountFrame: frame()})
}

// tenCodes are as many as people get.
var tenCodes = strings.Fields("a2b3-c4d5-e6f7-g2h3 i4j5-k6l7-m2n3-o4p5 q6r7-s2t3-u4v5-w6x7 y2z3-a4b5-c6d7-e2f3 g4h5-i6j7-k2l3-m4n5 " +
	"o6p7-q2r3-s4t5-u6v7 w2x3-y4z5-a6b7-c2d3 e4f5-g6h7-i2j3-k4l5 m6n7-o2p3-q4r5-s6t7 u2v3-w4x5-y6z7-a2b3")

// drawnQR is a picture as apps get it.
var drawnQR = func() *credential.QR {
	qr, err := credential.DrawQR("otpauth://totp/Northwind:mira@northwind.example?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Northwind")
	if err != nil {
		panic(err)
	}
	return qr
}()
