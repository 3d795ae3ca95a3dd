"""The text of the operator's page."""

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Calibration of __KITCHEN__</title>
<style>
  body { font: 16px system-ui, sans-serif; margin: 1.2em; background: #fafafa; color: #222 }
  h1 { font-size: 1.3em } h2 { font-size: 1em; margin: .5em 0 }
  .cams { display: flex; gap: 1em; flex-wrap: wrap }
  .cam { flex: 1; min-width: 340px; max-width: 660px }
  .cam img { width: 100%; border: 1px solid #bbb }
  .say { min-height: 2.6em; margin: .3em 0 } .bad { color: #b00020 } .good { color: #0a6b2d }
  button { font-size: 1em; padding: .5em 1.1em; margin-right: .6em }
  #stop { background: #b00020; color: #fff; border: 0 }
  table { border-collapse: collapse }
  td { width: 2.4em; height: 1.5em; text-align: center; border: 1px solid #ccc; font-size: .75em }
  ul { max-height: 11em; overflow: auto; padding-left: 1.2em }
  progress { width: 16em }
</style></head><body>
<h1>Calibration of __KITCHEN__</h1>
<p><b id="phase"></b></p>
<p><progress id="bar"></progress> <span id="count"></span>; <span id="turned"></span></p>
<p><button id="go">Start</button><button id="take">Take a sample</button>
   <button id="stop">Stop the arm</button><button id="finish">Finish</button></p>
<div class="cams" id="cams"></div>
<h2>Messages</h2><ul id="said"></ul>
<script>
const token = "__TOKEN__", el = id => document.getElementById(id);
for (const word of ["go", "take", "stop", "finish"])
  el(word).onclick = () => fetch("/" + word, { method: "POST", headers: { "X-Token": token } });

function camera(name) {
  let box = el("cam_" + name);
  if (!box) {
    box = document.createElement("div");
    box.className = "cam";
    box.id = "cam_" + name;
    box.innerHTML = `<h2>${name}</h2><img alt="what ${name} sees"><div class="say"></div>
      <h2>where corners were seen so far</h2><table></table>`;
    el("cams").append(box);
  }
  return box;
}

function cells(rows) {
  const cell = n => `<td style="background:rgba(30,150,70,${Math.min(1, n / 40)})">${n || ""}</td>`;
  return rows.map(row => "<tr>" + row.map(cell).join("") + "</tr>").join("");
}

async function tick() {
  let state;
  try { state = await (await fetch("/state.json")).json() }
  catch { el("phase").textContent = "the program has ended: its terminal says how"; return }
  el("phase").textContent = state.phase;
  el("bar").max = state.wanted;
  el("bar").value = state.whole;
  el("count").textContent = `${state.whole} of ${state.wanted} samples seen by every camera`;
  el("turned").textContent = state.turned;
  el("go").hidden = !state.drives;
  el("take").hidden = state.drives;
  for (const [name, seen] of Object.entries(state.cameras)) {
    const box = camera(name), say = box.querySelector(".say");
    box.querySelector("img").src = `/camera/${name}.jpg?${state.tick}`;
    say.textContent = seen.says;
    say.className = "say " + (seen.found ? "good" : "bad");
    box.querySelector("table").innerHTML = cells(seen.coverage);
  }
  el("said").replaceChildren(...state.said.reverse().map(text => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
  setTimeout(tick, 700);
}
tick();
</script></body></html>"""
