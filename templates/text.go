package templates

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

// Text is a sentence, or a part of one, that Go code chooses and a page shows in the person's language: a key of the catalogue with its values, or words that
// are the same in every language. The zero Text is no words at all.
type Text struct {
	ID string
	// Data are the values of the placeholders: strings, numbers, times, durations or a Text again. An int named Count chooses between singular and plural.
	Data  map[string]any
	Plain string
}

// Say is a text of the catalogue; pairs are the names and values of its placeholders: Say("login.wait", "Time", wait).
func Say(id string, pairs ...any) Text {
	data, err := pairsOf(pairs)
	if err != nil {
		panic("templates: text " + id + ": " + err.Error())
	}
	return Text{ID: id, Data: data}
}

// Plain is a text that is not translated: a name, or what the other side said.
func Plain(words string) Text { return Text{Plain: words} }

// Empty tells whether there are no words.
func (t Text) Empty() bool { return t.ID == "" && t.Plain == "" }

// pairsOf makes a map of names and values that follow each other.
func pairsOf(pairs []any) (map[string]any, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("%d names and values, which is an odd number", len(pairs))
	}
	data := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("value %v stands where a name is due", pairs[i])
		}
		data[name] = pairs[i+1]
	}
	return data, nil
}

// say puts a text into words. It fails for a key that the catalogue lacks: no page shows less than it should.
func (l *language) say(t Text) (string, error) {
	if t.ID == "" {
		return t.Plain, nil
	}
	data := make(map[string]any, len(t.Data))
	for name, value := range t.Data {
		word, err := l.word(value)
		if err != nil {
			return "", err
		}
		data[name] = word
	}
	return l.look(t.ID, data)
}

// text is the function t of the pages.
func (l *language) text(id string, pairs ...any) (string, error) {
	data, err := pairsOf(pairs)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", id, err)
	}
	return l.say(Text{ID: id, Data: data})
}

// Date is a time of which a sentence tells the day alone.
type Date time.Time

// The runes around a value whose direction is its own (Unicode annex 9, FSI and PDI): otherwise an address in a sentence of Arabic or Hebrew falls to pieces.
const openIsolate, closeIsolate = "\u2068", "\u2069"

// word is how a value stands in a sentence. Numbers stay as they are: they choose the plural.
func (l *language) word(value any) (any, error) {
	switch v := value.(type) {
	case string:
		if l.dir == "rtl" && v != "" {
			return openIsolate + v + closeIsolate, nil
		}
	case Text:
		return l.say(v)
	case time.Time:
		return l.moment(v)
	case Date:
		return l.date(time.Time(v))
	case time.Duration:
		return l.duration(v)
	}
	return value, nil
}

// The runes around the number of a value that is put into a text after the text was escaped. No text of the catalogue has them.
const openSlot, closeSlot = "\ue000", "\ue001"

// markup is the function th of the pages: the text is escaped, and so are its values, but for those that are markup already (strong, anchor, ...).
func (l *language) markup(id string, pairs ...any) (template.HTML, error) {
	data, err := pairsOf(pairs)
	if err != nil {
		return "", fmt.Errorf("text %s: %w", id, err)
	}
	var slots []string
	for name, value := range data {
		if _, number := value.(int); number {
			continue
		}
		safe, ok := value.(template.HTML)
		if !ok {
			word, err := l.word(value)
			if err != nil {
				return "", err
			}
			safe = template.HTML(template.HTMLEscapeString(fmt.Sprint(word)))
		}
		slot := openSlot + strconv.Itoa(len(slots)/2) + closeSlot
		slots = append(slots, slot, string(safe))
		data[name] = slot
	}
	words, err := l.look(id, data)
	if err != nil {
		return "", err
	}
	return template.HTML(strings.NewReplacer(slots...).Replace(template.HTMLEscapeString(words))), nil
}

// strong, host, span, time, code and anchor make the markup that stands inside of sentences. An empty id leaves the attribute out.
func strong(id, words string) template.HTML { return element("strong", id, "", words) }

func host(id, words string) template.HTML { return element("strong", id, "host", words) }

func span(id, class, words string) template.HTML { return element("span", id, class, words) }

// timeElement is a time for machines and, in words, for people. kind is what static/times.js makes of it in a browser that knows the person's zone: a day or a moment.
func timeElement(kind, machine, words string) template.HTML {
	return template.HTML(`<time datetime="` + template.HTMLEscapeString(machine) + `" data-local="` + kind + `">` + template.HTMLEscapeString(words) + `</time>`)
}

func code(words string) template.HTML { return element("code", "", "", words) }

func anchor(id, target, words string) template.HTML {
	return template.HTML(`<a`) + identity(id) + template.HTML(` href="`+template.HTMLEscapeString(target)+`">`+template.HTMLEscapeString(words)+`</a>`)
}

func element(tag, id, class, words string) template.HTML {
	if class != "" {
		class = ` class="` + class + `"`
	}
	return template.HTML("<"+tag) + identity(id) + template.HTML(class+">"+template.HTMLEscapeString(words)+"</"+tag+">")
}

func identity(id string) template.HTML {
	if id == "" {
		return ""
	}
	return template.HTML(` id="` + template.HTMLEscapeString(id) + `"`)
}

// date and moment are times in words, always in UTC: the server does not know where the person is.
func (l *language) date(t time.Time) (string, error) {
	t = t.UTC()
	month, err := l.look("date.month"+strconv.Itoa(int(t.Month())), nil)
	if err != nil {
		return "", err
	}
	return l.look("date.day", map[string]any{"Day": t.Day(), "Month": month, "Year": t.Year()})
}

func (l *language) moment(t time.Time) (string, error) {
	day, err := l.date(t)
	if err != nil {
		return "", err
	}
	return l.look("date.moment", map[string]any{"Date": day, "Time": t.UTC().Format("15:04")})
}

// dateElement and momentElement are date and moment as elements that programs can read, too.
func (l *language) dateElement(t time.Time) (template.HTML, error) {
	words, err := l.date(t)
	return timeElement("day", machine(t), words), err
}

func (l *language) momentElement(t time.Time) (template.HTML, error) {
	words, err := l.moment(t)
	return timeElement("moment", machine(t), words), err
}

// duration is a length of time in words, rounded up to the largest unit of which there are at least two, or one exactly.
func (l *language) duration(d time.Duration) (string, error) {
	units := []struct {
		id   string
		size time.Duration
	}{{"duration.days", 24 * time.Hour}, {"duration.hours", time.Hour}, {"duration.minutes", time.Minute}, {"duration.seconds", time.Second}}
	d = max(d, time.Second)
	for i, unit := range units {
		if d >= 2*unit.size || d == unit.size || i == len(units)-1 {
			return l.look(unit.id, map[string]any{"Count": int((d + unit.size - 1) / unit.size)})
		}
	}
	return "", nil
}
