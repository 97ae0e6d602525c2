package templates

import "strings"

// piece is a stretch of a text that is, or is not, in the text it is compared with.
type piece struct {
	Text    string
	Differs bool
}

// compareLimit bounds the work of one comparison, which grows with the product of both lengths; longer
// texts are compared by their common start and end alone.
const compareLimit = 1 << 16

// compare splits text into the pieces that it shares with other and those that it does not, by the
// longest common sequence of words and delimiters.
func compare(text, other string) []piece {
	a, b := words(text), words(other)
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	end := 0
	for end < len(a)-start && end < len(b)-start && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	middleA, middleB := a[start:len(a)-end], b[start:len(b)-end]
	var list []piece
	list = extend(list, false, a[:start]...)
	if len(middleA)*len(middleB) > compareLimit {
		list = extend(list, true, middleA...)
	} else {
		list = align(list, middleA, middleB)
	}
	return extend(list, false, a[len(a)-end:]...)
}

// align appends a to list, marking what is not in the longest common sequence with b.
func align(list []piece, a, b []string) []piece {
	// length[i][j] is the length of the longest common sequence of a[i:] and b[j:].
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	j := 0
	for i, word := range a {
		for j < len(b) && b[j] != word && length[i][j+1] == length[i][j] {
			j++
		}
		if j < len(b) && b[j] == word {
			list = extend(list, false, word)
			j++
			continue
		}
		list = extend(list, true, word)
	}
	return list
}

// extend appends words to list and joins neighbours of one kind.
func extend(list []piece, differs bool, words ...string) []piece {
	if len(words) == 0 {
		return list
	}
	text := strings.Join(words, "")
	if last := len(list) - 1; last >= 0 && list[last].Differs == differs {
		list[last].Text += text
		return list
	}
	return append(list, piece{text, differs})
}

// words cuts a URI into runs of ordinary characters and single delimiters.
func words(uri string) []string {
	var list []string
	from := 0
	for i := range len(uri) {
		if strings.IndexByte(":/?#[]@!$&'()*+,;=.", uri[i]) < 0 {
			continue
		}
		if from < i {
			list = append(list, uri[from:i])
		}
		list = append(list, uri[i:i+1])
		from = i + 1
	}
	if from < len(uri) {
		list = append(list, uri[from:])
	}
	return list
}
