package templates

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// render returns the page as text and as a tree, as a browser without scripts reads it.
func render(t testing.TB, l Layout, p Page) (string, *html.Node) {
	t.Helper()
	var body bytes.Buffer
	if err := load(t).Render(&body, l, p); err != nil {
		t.Fatal(err)
	}
	text := body.String()
	tree, err := html.ParseWithOptions(strings.NewReader(text), html.ParseOptionEnableScripting(false))
	if err != nil {
		t.Fatal(err)
	}
	return text, tree
}

// elements returns the elements of a tree that satisfy want, in document order.
func elements(tree *html.Node, want func(*html.Node) bool) []*html.Node {
	var list []*html.Node
	for n := range tree.Descendants() {
		if n.Type == html.ElementNode && want(n) {
			list = append(list, n)
		}
	}
	return list
}

// named returns the elements with a tag name.
func named(tree *html.Node, tag string) []*html.Node {
	return elements(tree, func(n *html.Node) bool { return n.Data == tag })
}

// byID returns the element with an id, or nil.
func byID(tree *html.Node, id string) *html.Node {
	list := elements(tree, func(n *html.Node) bool { return attr(n, "id") == id })
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

// attr returns an attribute's value, "" if n is nil or has none.
func attr(n *html.Node, key string) string {
	value, _ := lookup(n, key)
	return value
}

func lookup(n *html.Node, key string) (string, bool) {
	if n == nil {
		return "", false
	}
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val, true
		}
	}
	return "", false
}

// text returns what a reader sees of an element, with single spaces.
func text(n *html.Node) string {
	var b strings.Builder
	if n != nil {
		for d := range n.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// fields returns the values a form would send, without its buttons.
func fields(form *html.Node) map[string]string {
	values := map[string]string{}
	for _, input := range named(form, "input") {
		values[attr(input, "name")] = attr(input, "value")
	}
	return values
}
