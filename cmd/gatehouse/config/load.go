package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// DefaultFile is read from the working directory if no file is named.
const DefaultFile = "config.yaml"

const envPrefix = "GATEHOUSE_"

// Source is what a configuration is read from and for.
type Source struct {
	// File is the --config flag; it must exist. Empty means DefaultFile in Dir if there is one, else the defaults alone.
	File string
	// Dir is the working directory; empty means the process's.
	Dir string
	// Env is the environment, as os.Environ gives it.
	Env []string
	// Serve also checks what only a server needs: its master keys, TLS files, file of places and a way to send the mails it promises.
	Serve bool
	// Dev is serve --dev, which keeps to loopback.
	Dev bool
}

// leaf is one key of the tree.
type leaf struct {
	key    string
	value  reflect.Value
	secret bool
}

func (l leaf) env() string { return envPrefix + strings.ToUpper(strings.ReplaceAll(l.key, ".", "_")) }

// loader collects what was read, from where, and what is wrong with it.
type loader struct {
	config *Config
	leaves []leaf
	from   map[string]string // key -> file or variable that set it
	faults Faults
	// unread says that the file could not be parsed, badItems which fields of items could not. What is missing because of that is no fault of its own.
	unread   bool
	badItems map[itemField]bool
}

// Load reads the file and the environment and checks the result. A wrong configuration gives Faults; any other error means that the file could
// not be read.
func Load(s Source) (*Config, error) {
	l := &loader{config: Default(), from: map[string]string{}, badItems: map[itemField]bool{}}
	l.leaves = leaves("", reflect.ValueOf(l.config).Elem())
	if err := l.readFile(s); err != nil {
		return nil, err
	}
	l.readEnv(s.Env)
	l.validate(s)
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return l.config, nil
}

func (l *loader) readFile(s Source) error {
	path := s.File
	if path == "" {
		path = filepath.Join(s.Dir, DefaultFile)
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && s.File == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		// Only the place is told: the parser quotes what it read, and that may be a key.
		return l.notYAML(path, err)
	}
	var written map[string]any
	if err := yaml.Unmarshal(text, &written); err != nil {
		return l.notYAML(path, err)
	}
	for _, key := range v.AllKeys() {
		i := indexKey(l.leaves, key)
		if i < 0 {
			l.unknown(key, path)
			continue
		}
		value := v.Get(key)
		if listOfItems(l.leaves[i].value.Type()) {
			value = asWritten(written, key)
		}
		l.set(l.leaves[i], value, path)
	}
	l.groups(v, path)
	return nil
}

// unknown records a key that there is not. A list that is written as a map looks like many of them.
func (l *loader) unknown(key, path string) {
	top, _, _ := strings.Cut(key, ".")
	if i := indexKey(l.leaves, top); i >= 0 && listOfItems(l.leaves[i].value.Type()) {
		l.from[top] = path
		if !l.broken(top) {
			l.faultAt(l.leaves[i], "", "must be a list of maps", "begin every item with - and its id or uri")
		}
		return
	}
	l.faults = append(l.faults, unknownKey(key, path, l.leaves))
}

func (l *loader) notYAML(path string, err error) error {
	l.faults = append(l.faults, Fault{Key: path, Problem: "is no valid YAML" + yamlPlace(err), Fix: "correct the indentation, quotes or repeated key there"})
	l.unread = true
	return nil
}

// asWritten is the value of a key with its capitals: viper writes the keys of all maps in lower case, and those of claims, roles and acr are names.
func asWritten(file map[string]any, key string) any {
	for name, value := range file {
		if strings.EqualFold(name, key) {
			return value
		}
	}
	return nil
}

// groups finds a scalar or list where a map belongs: viper reports such a key as unknown, which says too little.
func (l *loader) groups(v *viper.Viper, path string) {
	for i, f := range l.faults {
		prefix := f.Key + "."
		if f.Source == path && slices.ContainsFunc(l.leaves, func(x leaf) bool { return strings.HasPrefix(x.key, prefix) }) {
			if v.Get(f.Key) == nil { // "server:" with nothing below it
				l.faults[i].Key = ""
				continue
			}
			l.faults[i].Problem, l.faults[i].Fix = "is a group of keys, not a value", "put its keys below it, indented"
		}
	}
	l.faults = slices.DeleteFunc(l.faults, func(f Fault) bool { return f.Key == "" })
}

func yamlPlace(err error) string {
	text := err.Error()
	at := strings.Index(text, "line ")
	if at < 0 {
		return ""
	}
	end := at + len("line ")
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	return " at " + text[at:end]
}

func (l *loader) readEnv(env []string) {
	values := map[string]string{}
	for _, pair := range env {
		if name, value, ok := strings.Cut(pair, "="); ok && strings.HasPrefix(name, envPrefix) {
			values[name] = value
		}
	}
	for _, leaf := range l.leaves {
		name := leaf.env()
		value, file := values[name], values[name+"_FILE"]
		delete(values, name)
		switch {
		case !leaf.secret:
			file = ""
		case value != "" && file != "":
			l.faults = append(l.faults, Fault{Key: leaf.key, Source: name, Problem: "is also set by " + name + "_FILE", Fix: "unset one of the two"})
		}
		if leaf.secret {
			delete(values, name+"_FILE")
		}
		if value != "" { // an empty variable counts as unset, as compose files write them
			l.set(leaf, value, name)
		} else if file != "" {
			l.setFromFile(leaf, file, name+"_FILE")
		}
	}
	known := l.readUpstreamSecrets(values)
	for name := range values {
		if !foreignVariable(name) {
			l.faults = append(l.faults, unknownVariable(name, l.leaves, known))
		}
	}
}

func (l *loader) setFromFile(leaf leaf, path, variable string) {
	text, err := ReadSecretFile(path)
	if err != nil {
		l.faults = append(l.faults, Fault{Key: leaf.key, Source: variable, Value: path, Problem: err.Error(), Fix: "name a file that only this program can read"})
		return
	}
	l.set(leaf, strings.TrimSpace(string(text)), variable)
}

func (l *loader) set(leaf leaf, raw any, from string) {
	if raw != nil {
		l.from[leaf.key] = from
	}
	err := assign(leaf.value, raw)
	var items itemFaults
	switch {
	case errors.As(err, &items):
		for _, f := range items {
			l.unreadable(leaf.key, f)
		}
	case err != nil && listOfItems(leaf.value.Type()): // not quoted: it is long, and items may hold secrets
		l.faultAt(leaf, "", err.Error(), "")
	case err != nil:
		l.faultAt(leaf, scalar(raw), err.Error(), "")
	}
}

// ReadSecretFile reads a file of at most 64 KiB that holds a secret. It refuses one that everybody on the machine can read or write.
func ReadSecretFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", pathless(err))
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("is a file that everyone on this machine can read (mode %04o); run: chmod 600 %s", info.Mode().Perm(), path)
	}
	if info.Size() > 64<<10 {
		return nil, errors.New("is larger than 64 KiB")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", pathless(err))
	}
	return text, nil
}

// foreignVariable tells the variables that are not meant for the program: what Kubernetes and Docker links set for a service that is itself called
// gatehouse, and the switch of the long test runs.
func foreignVariable(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return rest == "SOAK" || rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_HOST") || strings.HasPrefix(rest, "SERVICE_PORT")
}

// leaves walks the struct v and returns its keys in order.
func leaves(prefix string, v reflect.Value) []leaf {
	var out []leaf
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key := prefix + field.Tag.Get("key")
		if field.Type.Kind() == reflect.Struct && field.Type != limitType {
			out = append(out, leaves(key+".", v.Field(i))...)
			continue
		}
		out = append(out, leaf{key: key, value: v.Field(i), secret: field.Tag.Get("secret") != ""})
	}
	return out
}

func indexKey(list []leaf, key string) int {
	return slices.IndexFunc(list, func(l leaf) bool { return l.key == key })
}

func keyNames(list []leaf) string {
	var names []string
	for _, l := range list {
		names = append(names, l.key)
	}
	return strings.Join(names, ", ")
}
