package templates

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// assets is a flat, read-only file system of files named by their content.
type assets struct {
	names map[string]string // app.css -> app.1f2e3d4c5b6a7980.css
	files map[string][]byte // by hashed name
}

// loadAssets reads every file of dir.
func loadAssets(dir fs.FS) (assets, error) {
	a := assets{names: map[string]string{}, files: map[string][]byte{}}
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return a, fmt.Errorf("list static files: %w", err)
	}
	for _, entry := range entries {
		body, err := fs.ReadFile(dir, entry.Name())
		if err != nil {
			return a, fmt.Errorf("read static file: %w", err)
		}
		sum := sha256.Sum256(body)
		ending := path.Ext(entry.Name())
		hashed := strings.TrimSuffix(entry.Name(), ending) + "." + hex.EncodeToString(sum[:8]) + ending
		a.names[entry.Name()] = hashed
		a.files[hashed] = body
	}
	return a, nil
}

// Open implements fs.FS: the hashed names, the sheets of colours, which no listing shows, and the root folder exist, nothing else.
func (a assets) Open(name string) (fs.File, error) {
	if name == "." {
		return &folder{entries: a.entries()}, nil
	}
	body, ok := a.files[name]
	if !ok {
		body, ok = themeFile(name)
	}
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{Reader: bytes.NewReader(body), info: info{name: name, size: int64(len(body))}}, nil
}

// entries lists the files by name.
func (a assets) entries() []fs.DirEntry {
	var list []fs.DirEntry
	for name, body := range a.files {
		list = append(list, fs.FileInfoToDirEntry(info{name: name, size: int64(len(body))}))
	}
	slices.SortFunc(list, func(x, y fs.DirEntry) int { return strings.Compare(x.Name(), y.Name()) })
	return list
}

// file is an open asset; the embedded reader lets http.FileServer seek in it.
type file struct {
	*bytes.Reader
	info info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

// folder is the open root.
type folder struct{ entries []fs.DirEntry }

func (d *folder) Stat() (fs.FileInfo, error) { return info{name: ".", dir: true}, nil }
func (d *folder) Close() error               { return nil }

func (d *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: ".", Err: fs.ErrInvalid}
}

// ReadDir implements fs.ReadDirFile.
func (d *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		list := d.entries
		d.entries = nil
		return list, nil
	}
	if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	list := d.entries[:n]
	d.entries = d.entries[n:]
	return list, nil
}

// info describes an asset. Its time is zero, so no Last-Modified is sent: the name says it all.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.dir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
