(function () {
  "use strict";
  var form = document.getElementById("filter");
  if (!form) { return; }
  var find = document.getElementById("find"), level = document.getElementById("level"), shown = document.getElementById("shown");
  var rows = Array.prototype.slice.call(document.querySelectorAll("#rows tbody tr"));
  var texts = rows.map(function (row) { return row.textContent.toLowerCase(); });
  var timer = 0;
  function apply() {
    var words = find.value.toLowerCase().split(" ").filter(Boolean), n = 0;
    rows.forEach(function (row, i) {
      var hit = (!level.value || row.getAttribute("data-level") === level.value) && words.every(function (word) { return texts[i].indexOf(word) >= 0; });
      row.hidden = !hit;
      n += hit ? 1 : 0;
    });
    shown.textContent = n === rows.length ? "" : n + " of " + rows.length;
  }
  function soon() { clearTimeout(timer); timer = setTimeout(apply, 120); }
  form.hidden = false;
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  find.addEventListener("input", soon);
  level.addEventListener("change", apply);
  apply();
})();
