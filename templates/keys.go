package templates

import (
	"fmt"
	"html/template"
	"text/template/parse"
)

// covers tells whether the catalogue has every text that a page asks for. A page names its texts itself: a key that is put together cannot be checked.
func (l *language) covers(page *template.Template) error {
	return usedKeys(page, func(location, id string) error {
		if id == "" {
			return fmt.Errorf("%s: t and th take a key between quotes", location)
		}
		if l.messages[id] == nil {
			return fmt.Errorf("%s: the catalogue has no text %q", location, id)
		}
		return nil
	})
}

// usedKeys calls use for every text that a page asks for, with an empty id for one that is not written out.
func usedKeys(page *template.Template, use func(location, id string) error) error {
	for _, t := range page.Templates() {
		if t.Tree == nil {
			continue
		}
		visit := func(c *parse.CommandNode) error {
			name, ok := c.Args[0].(*parse.IdentifierNode)
			if !ok || name.Ident != "t" && name.Ident != "th" {
				return nil
			}
			location, _ := t.Tree.ErrorContext(c)
			if len(c.Args) > 1 {
				if id, ok := c.Args[1].(*parse.StringNode); ok {
					return use(location, id.Text)
				}
			}
			return use(location, "")
		}
		if err := walk(t.Tree.Root, visit); err != nil {
			return err
		}
	}
	return nil
}

// walk visits every command below a node.
func walk(node parse.Node, visit func(*parse.CommandNode) error) error {
	for _, child := range children(node) {
		if err := walk(child, visit); err != nil {
			return err
		}
	}
	if command, ok := node.(*parse.CommandNode); ok {
		return visit(command)
	}
	return nil
}

func children(node parse.Node) []parse.Node {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			return n.Nodes
		}
	case *parse.ActionNode:
		return []parse.Node{n.Pipe}
	case *parse.TemplateNode:
		return []parse.Node{n.Pipe}
	case *parse.IfNode:
		return []parse.Node{n.Pipe, n.List, n.ElseList}
	case *parse.WithNode:
		return []parse.Node{n.Pipe, n.List, n.ElseList}
	case *parse.RangeNode:
		return []parse.Node{n.Pipe, n.List, n.ElseList}
	case *parse.PipeNode:
		if n == nil {
			return nil
		}
		list := make([]parse.Node, 0, len(n.Cmds))
		for _, c := range n.Cmds {
			list = append(list, c)
		}
		return list
	case *parse.CommandNode:
		return n.Args
	}
	return nil
}
