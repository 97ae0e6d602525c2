package useragent

import "strings"

// longest is how much of a header is looked at, in bytes; no browser sends more that matters.
const longest = 512

// sign is a word of a header and what it stands for.
type sign struct{ word, name string }

// browsers are looked for in this order: most headers name the browsers that they want to be taken for, too, after what they are.
var browsers = []sign{
	{"edg/", "Edge"}, {"edga/", "Edge"}, {"edgios/", "Edge"}, {"opr/", "Opera"}, {"opt/", "Opera"}, {"vivaldi/", "Vivaldi"}, {"samsungbrowser/", "Samsung Internet"}, {"yabrowser/", "Yandex Browser"},
	{"ucbrowser/", "UC Browser"}, {"duckduckgo/", "DuckDuckGo"}, {"ddg/", "DuckDuckGo"}, {"fxios/", "Firefox"}, {"firefox/", "Firefox"}, {"crios/", "Chrome"}, {"headlesschrome/", "Chrome"}, {"chromium/", "Chromium"},
	{"chrome/", "Chrome"}, {"trident/", "Internet Explorer"}, {"msie ", "Internet Explorer"}, {"curl/", "curl"}, {"wget/", "Wget"},
}

// systems are looked for in this order: Android names Linux, iPads and iPhones name Mac OS X.
var systems = []sign{
	{"windows phone", "Windows Phone"}, {"windows", "Windows"}, {"ipad", "iPad"}, {"iphone", "iPhone"}, {"ipod", "iPod"}, {"android", "Android"}, {"cros ", "ChromeOS"}, {"mac os x", "macOS"}, {"macintosh", "macOS"},
	{"freebsd", "FreeBSD"}, {"openbsd", "OpenBSD"}, {"linux", "Linux"},
}

// Read returns the browser and the system that a header names, each empty if it names none that is known here.
func Read(header string) (browser, system string) {
	text := strings.ToLower(header[:min(len(header), longest)])
	browser, system = find(text, browsers), find(text, systems)
	if browser == "" && strings.Contains(text, "safari/") && strings.Contains(text, "version/") {
		browser = "Safari" // every other one of its family has been looked for
	}
	return browser, system
}

func find(text string, signs []sign) string {
	for _, s := range signs {
		if strings.Contains(text, s.word) {
			return s.name
		}
	}
	return ""
}
