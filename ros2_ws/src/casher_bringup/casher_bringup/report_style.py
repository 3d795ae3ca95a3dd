"""Colours and style sheet of the report's page."""

ACTION_COLOURS = {
    "+x": "#e5484d",
    "-x": "#f2a1a3",
    "+y": "#30a46c",
    "-y": "#93d6b3",
    "+z": "#3e63dd",
    "-z": "#a3b5f2",
    "+rx": "#b3541e",
    "-rx": "#dba27c",
    "+ry": "#6a8f1f",
    "-ry": "#bccf8e",
    "+rz": "#7b52c7",
    "-rz": "#c2b0e6",
    "open": "#f5c518",
    "close": "#5b6b82",
}
"""Translation along x, y, z in red, green, blue as RViz draws its axes; rotation in their neighbours;
 minus is paler."""

STYLE = """
:root{--bg:#f6f7f9;--card:#fff;--ink:#1a1f27;--dim:#677084;--line:#e3e6ec;--accent:#2563eb;--band:#bcd0fb;
--good:#18794e;--goodbg:#d6f2e2;--bad:#b42318;--badbg:#fde3e1;--warn:#8a5a00;--warnbg:#fdf0cf}
@media(prefers-color-scheme:dark){:root{--bg:#0f1216;--card:#181c22;--ink:#e8ebf0;--dim:#98a1b2;--line:#2a303a;
--accent:#7ea6ff;--band:#2b4172;--good:#6fdba6;--goodbg:#123527;--bad:#ff9d94;--badbg:#431b18;--warn:#f3c969;
--warnbg:#3c2f10}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:1.2rem 1rem 3rem}
header{margin:1.2rem 0 1rem}h1{font-size:1.75rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em}
header p{margin:0;color:var(--dim)}header b{color:var(--ink);font-weight:600;overflow-wrap:anywhere}
h2{font-size:1.05rem;margin:0 0 .8rem}section{background:var(--card);border:1px solid var(--line);border-radius:14px;
padding:1.1rem 1.2rem;margin:0 0 1rem}code{font:.85em ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
small{font-size:.82em;color:var(--dim);font-weight:400}.dim{color:var(--dim);font-size:.88rem}p{margin:.3rem 0}
.score{display:flex;gap:1.6rem;align-items:center;flex-wrap:wrap}.grow{flex:1 1 260px}
.big{font-size:4.2rem;font-weight:700;line-height:1;letter-spacing:-.03em;font-variant-numeric:tabular-nums}
.big i{font-style:normal;color:var(--dim);font-weight:300;margin:0 .06em}
.bar{position:relative;height:12px;border-radius:6px;background:var(--line);margin:.35rem 0}
.bar span{position:absolute;top:0;bottom:0;border-radius:6px;background:var(--band)}
.bar i{position:absolute;top:-3px;bottom:-3px;width:4px;margin-left:-2px;border-radius:2px;background:var(--accent)}
.bar.time{height:8px}.bar.time i{top:0;bottom:0;width:3px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:.6rem;margin-top:1rem}
.tile{border:1px solid var(--line);border-radius:10px;padding:.55rem .75rem}.tile b{display:block;font-size:1.3rem}
.tile span{display:block;font-size:.82rem;line-height:1.3;color:var(--dim)}
.tile.warn{background:var(--warnbg);border-color:transparent}.tile.warn b,.tile.warn span{color:var(--warn)}
.rate{display:grid;grid-template-columns:7.5rem 1fr 15.5rem;gap:.8rem;align-items:center;padding:.16rem 0}
.rate>span:first-child{overflow-wrap:anywhere;line-height:1.25}
.rate .num{font-variant-numeric:tabular-nums;white-space:nowrap}.rate b{display:inline-block;min-width:3.2rem}
.rate.inner>span:first-child{padding-left:1.1rem;color:var(--dim)}.rate.inner .bar{height:7px}
.rate.inner .bar i{top:-2px;bottom:-2px}.rate.total{border-top:1px solid var(--line);margin-top:.3rem;
padding-top:.4rem}
.rate.total+.rate.total{border:0;margin:0;padding-top:.16rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:.32rem .5rem;border-bottom:1px solid var(--line)}
th:first-child{text-align:left;padding-left:0;font-weight:500}thead th{color:var(--dim);font-size:.82rem;
font-weight:500}
th.wide{text-align:left}td.wide{width:34%}tbody tr:last-child>*{border:0}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(300px,1fr));gap:.9rem}
article{border:1px solid var(--line);border-radius:12px;padding:.75rem;min-width:0}
h3{font-size:1rem;margin:0 0 .5rem;display:flex;align-items:center;gap:.5rem}.index{margin-left:auto}
.badge{font-size:.76rem;font-weight:600;padding:.08rem .55rem;border-radius:99px;background:var(--warnbg);
color:var(--warn)}
.success .badge{background:var(--goodbg);color:var(--good)}.failure .badge{background:var(--badbg);color:var(--bad)}
.reason{font-size:.9rem;overflow-wrap:anywhere}.pictures{display:flex;gap:.4rem}figure{margin:0;flex:1 1 0;min-width:0}
figure img{width:100%;display:block;border-radius:8px}figcaption{font-size:.75rem;color:var(--dim)}
.strip{display:block;width:100%;height:16px;background:var(--line);border-radius:4px;margin:.45rem 0}
.legend{display:flex;flex-wrap:wrap;gap:.2rem .8rem;font-size:.8rem;color:var(--dim);margin:0 0 .8rem}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.3em;border:1px solid var(--line)}
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:0}dt{color:var(--dim)}dd{margin:0;min-width:0}
.note{background:var(--warnbg);color:var(--warn);border-radius:10px;padding:.6rem .9rem;margin:0 0 1rem}
.problems{margin:0;padding-left:1.1rem}.problems li{margin:.4rem 0;overflow-wrap:anywhere}
footer{color:var(--dim);font-size:.85rem;padding:0 .2rem}
@media(max-width:640px){h1{font-size:1.4rem}section{padding:.9rem .8rem;border-radius:12px}.big{font-size:3.4rem}
.rate{grid-template-columns:5rem 1fr;gap:.1rem .6rem}.rate .num{grid-column:2;margin-bottom:.25rem}
th.wide,td.wide{display:none}th,td{padding:.3rem .3rem}}
"""
