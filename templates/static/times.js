// Times on the account pages, as the person's own clock and country write them. Without this file, or where the browser does not know, they stay as the server wrote them, in UTC.
(function () {
  "use strict";

  // Who reads English may live in London or in Boston: of the browser's languages it is the first that is the page's.
  var page = document.documentElement.lang;
  var own = Array.from(navigator.languages || []).find(function (name) {
    return name.toLowerCase().split("-")[0] === page.toLowerCase().split("-")[0];
  });
  var styles = { day: { dateStyle: "long" }, moment: { dateStyle: "long", timeStyle: "short" } };

  document.querySelectorAll("time[data-local]").forEach(function (element) {
    var moment = new Date(element.dateTime), style = styles[element.dataset.local];
    if (isNaN(moment) || !style) return;
    element.title = element.textContent;
    element.textContent = new Intl.DateTimeFormat(own || page, style).format(moment);
  });
})();
