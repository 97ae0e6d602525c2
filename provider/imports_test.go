package provider

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Who may import whom, and why. The keys are folders; a folder that is not named takes the rule of its nearest parent. Only files that are not
// tests are bound.
var importRules = map[string]struct {
	may []string
	why string
}{
	"storage":                   {nil, "the contract is imported by everything and must not pull anything in"},
	"storage/sqlstore":          {[]string{"storage"}, "statements know records, not engines"},
	"storage/migrate":           {[]string{"storage"}, "the runner knows files and a lock, not features"},
	"storage/memory":            {[]string{"storage"}, "the reference implementation knows the contract only"},
	"storage/sqlite":            {[]string{"storage", "storage/sqlstore", "storage/migrate"}, "a backend is an adapter"},
	"storage/postgres":          {[]string{"storage", "storage/sqlstore", "storage/migrate"}, "a backend is an adapter"},
	"storage/storagetest":       {[]string{"storage"}, "one suite for every backend"},
	"templates":                 {nil, "pages know nothing of the server"},
	"provider/seal":             {leafMay, leafWhy},
	"provider/outbound":         {leafMay, leafWhy},
	"provider/audit":            {leafMay, leafWhy},
	"provider/ratelimit":        {leafMay, leafWhy},
	"provider/telemetry":        {leafMay, leafWhy},
	"provider/keys":             {groundMay, groundWhy},
	"provider/credential":       {groundMay, groundWhy},
	"provider/interaction":      {groundMay, groundWhy},
	"provider/mail":             {append(slices.Clone(groundMay), "templates"), "a mail is words and a queue; it knows no feature"},
	"provider/mail/mailtest":    {[]string{"provider/mail", "provider/seal", "storage", "templates"}, "a letter box for tests"},
	"provider/ticket":           {append(slices.Clone(groundMay), "provider/opaque"), "a link is a random string with a row; what it does is the feature's that issued it"},
	"provider/activity":         {append(slices.Clone(groundMay), "provider/mail", "provider/useragent", "provider/place", "templates"), "what happened is told in the log, on the account page and by mail"},
	"provider/web":              {append(slices.Clone(leaf), "templates"), "the kernel knows pages and leaf packages; features bring the rest"},
	"provider/claims":           {[]string{"storage"}, "what a claim may hold needs nobody: the command line and the account page ask the same rules"},
	"provider/useragent":        {nil, "a leaf: words for a header"},
	"provider/place":            {leafMay, leafWhy},
	"provider/opaque":           {nil, "a leaf: random strings and what is stored of them"},
	"provider/redirect":         {[]string{"storage"}, "comparing addresses needs nobody"},
	"provider/grant":            {[]string{"storage"}, "grants state small interfaces, which the engine satisfies"},
	"provider/client":           {[]string{"storage", "provider/opaque", "provider/grant", "provider/outbound", "provider/seal", "provider/redirect", "templates"}, "metadata is validated without asking anybody; the grant table says what exists, and templates which colours can be read"},
	"provider/registration":     {append(slices.Clone(groundMay), "provider/opaque", "provider/client"), "what saving a client takes beside the validation, for the endpoint and the command line"},
	"provider/clientauth":       {append(slices.Clone(groundMay), "provider/opaque", "provider/grant", "provider/client"), "part of the engine: who sends a request"},
	"provider/request":          {append(slices.Clone(groundMay), "provider/opaque", "provider/grant", "provider/client", "provider/clientauth", "provider/redirect"), "part of the engine: what an authorization request asks for"},
	"provider/oauth":            {append(slices.Clone(groundMay), "provider/opaque", "provider/grant", "provider/client", "provider/clientauth", "provider/request", "provider/keys"), "the engine knows nothing of HTML and cookies"},
	"provider/session":          {append(slices.Clone(groundMay), "provider/web"), "sessions are cookies and rows"},
	"provider/signin":           {append(slices.Clone(groundMay), "provider/interaction", "provider/web", "provider/session", "provider/activity", "templates"), "the one place where a proof becomes a session; features hand it what they have seen"},
	"provider/letter":           {append(slices.Clone(groundMay), "provider/mail", "provider/interaction", "provider/web", "provider/session", "provider/signin", "provider/activity", "templates"), "links that are mailed without telling who has an account, for every feature that writes one"},
	"provider/signup":           {append(slices.Clone(featureMay), "provider/letter"), featureWhy},
	"provider/recovery":         {append(slices.Clone(featureMay), "provider/letter"), featureWhy},
	"provider/endpoint":         {append(slices.Clone(featureMay), "provider/grant"), featureWhy},
	"provider/login":            {featureMay, featureWhy},
	"provider/consent":          {featureMay, featureWhy},
	"provider/account":          {append(slices.Clone(featureMay), "provider/letter"), featureWhy},
	"provider/logout":           {featureMay, featureWhy},
	"provider/upstream":         {[]string{"provider/outbound", "provider/client"}, "a driver of a provider knows that provider, not who signs in here"},
	"provider/federation":       {append(slices.Clone(featureMay), "provider/upstream"), featureWhy},
	"provider/playground":       {append(slices.Clone(featureMay), "provider/rp"), featureWhy},
	"provider/rp":               {nil, "a relying party uses the server from outside, as anyone does"},
	"provider/bench":            {[]string{"provider/rp"}, "the bench drives any provider from outside"},
	"deploy/dev":                {[]string{"provider/bench", "storage/postgres/postgrestest"}, "make bench starts the built program and a test cluster; it shares no code with the server"},
	"provider/third_party/oryx": {nil, "a stand-in for a library"},
	"provider":                  {nil, "assembles everything; see the exception below"},
	"cmd/gatehouse/doctor":      {[]string{"provider/rp"}, "the doctor sees what a client sees; what it needs of the store it states as an interface"},
	"cmd/gatehouse":             {nil, "the place where concrete types meet; see the exception below"},
	"cmd/gatehouse/config":      {[]string{"provider/claims", "provider/place", "provider/seal", "provider/ratelimit", "provider/oauth", "provider/grant", "provider/upstream", "provider/mail", "templates"}, "the typed tree is read by everyone and knows no one; templates says whether the pages of the operator can be shown; the table of upstream types says what each of them needs, mail how its URL is written, and place whether a file holds any"},
}

var (
	leaf       = []string{"storage", "provider/seal", "provider/outbound", "provider/audit", "provider/ratelimit", "provider/telemetry"}
	leafMay    = []string{"storage"}
	leafWhy    = "leaf packages import at most storage"
	groundMay  = slices.Clone(leaf)
	groundWhy  = "ground packages import leaf packages and storage"
	featureMay = append(slices.Clone(leaf), "provider/keys", "provider/credential", "provider/interaction", "provider/web", "templates", "provider/session", "provider/signin", "provider/oauth",
		"provider/opaque", "provider/redirect", "provider/client", "provider/clientauth", "provider/request", "provider/registration", "provider/claims", "provider/useragent", "provider/place",
		"provider/mail", "provider/ticket", "provider/activity")
	featureWhy = "features never import each other: they meet through an interaction id in a URL, or through storage"
)

// libraryHomes names the only folders that may import a library.
var libraryHomes = map[string][]string{
	"github.com/ory/fosite":                {"provider/grant", "provider/clientauth", "provider/request", "provider/oauth", "provider/endpoint"},
	"github.com/go-jose/go-jose":           {"provider/keys", "provider/client", "provider/clientauth", "provider/request", "provider/oauth", "provider/upstream"},
	"github.com/gorilla/mux":               {"provider/web"},
	"golang.org/x/crypto/bcrypt":           {"provider/credential", "provider/client"},
	"golang.org/x/crypto/argon2":           {"provider/credential"},
	"golang.org/x/crypto/scrypt":           {"provider/credential"},
	"github.com/go-webauthn":               {"provider/credential"},
	"github.com/boombuler":                 {"provider/credential"},
	"golang.org/x/oauth2":                  {"provider/rp", "provider/upstream"},
	"github.com/coreos/go-oidc":            {"provider/rp", "provider/upstream"},
	"github.com/jackc/pgx":                 {"storage/postgres"},
	"modernc.org/sqlite":                   {"storage/sqlite"},
	"github.com/spf13/viper":               {"cmd/gatehouse/config"},
	"github.com/wneessen/go-mail":          {"provider/mail"},
	"github.com/nicksnyder/go-i18n":        {"templates"},
	"github.com/pelletier/go-toml":         {"templates"},
	"golang.org/x/text/language":           {"templates"},
	"github.com/oschwald/maxminddb-golang": {"provider/place"},
	"github.com/maxmind/mmdbwriter":        {"provider/place/placetest"},
	"github.com/prometheus":                {"provider/telemetry"},
	"go.opentelemetry.io/otel":             {"provider/telemetry", "provider/third_party/oryx"},
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	root := ".."
	checked := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "third_party") {
			return fs.SkipDir
		}
		p, err := build.ImportDir(path, 0)
		if _, none := err.(*build.NoGoError); none {
			return nil
		}
		if err != nil {
			return err
		}
		checked++
		for _, imported := range p.Imports {
			checkImport(t, filepath.ToSlash(rel), imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 20 {
		t.Fatalf("only %d packages found below %s", checked, root)
	}
}

func checkImport(t *testing.T, folder, imported string) {
	for library, homes := range libraryHomes {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.ContainsFunc(homes, func(home string) bool { return folder == home || strings.HasPrefix(folder, home+"/") }) {
			t.Errorf("%s imports %s, whose home is %v", folder, imported, homes)
		}
	}
	own, ok := strings.CutPrefix(imported, "gatehouse/")
	if !ok {
		return
	}
	rule, why := ruleFor(folder)
	if rule == "provider" || rule == "cmd/gatehouse" {
		// They assemble. But nobody but cmd meets a backend.
		if rule == "provider" && strings.HasPrefix(own, "storage/") {
			t.Errorf("%s imports %s: backends meet the server in cmd only", folder, own)
		}
		return
	}
	if own == rule || strings.HasPrefix(own, rule+"/") && rule != "storage" || strings.HasPrefix(folder, own+"/") {
		return // a folder's own parts
	}
	if !slices.Contains(importRules[rule].may, own) {
		t.Errorf("%s imports %s: %s", folder, own, why)
	}
}

func ruleFor(folder string) (rule, why string) {
	for ; ; folder = filepath.ToSlash(filepath.Dir(folder)) {
		if r, ok := importRules[folder]; ok {
			return folder, r.why
		}
		if folder == "." || folder == "/" {
			return "", "no rule names this folder; add it to importRules with its reason"
		}
	}
}

func TestNoEmptyFolderInTheHouse(t *testing.T) {
	for _, folder := range []string{"../cmd", "../provider", "../storage", "../templates", "../deploy", "../docs"} {
		if entries, err := os.ReadDir(folder); err != nil || len(entries) == 0 {
			t.Errorf("%s is part of the house and is missing or empty", folder)
		}
	}
}
