"""The look of the page."""

STYLE = """
body { max-width: 70rem; margin: 0 auto; padding: 0 1rem 3rem; color: #222; background: #fff;
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { margin-bottom: 0; font-size: 1.6rem; }
h2 { margin: 2.5rem 0 .5rem; padding-top: .8rem; border-top: 1px solid #ddd; font-size: 1.2rem; }
h3 { margin: 1.5rem 0 .25rem; font-size: 1rem; overflow-wrap: anywhere; }
p { max-width: 45rem; margin: .5rem 0; }
img { max-width: 100%; height: auto; display: block; }
.note { color: #555; font-size: .9rem; }
.wide { overflow-x: auto; margin: .75rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; white-space: nowrap; }
th:first-child { padding-left: .2rem; text-align: left; }
thead th { border-bottom: 2px solid #888; }
tbody tr:nth-child(even) { background: #f4f4f4; }
tbody th { font-weight: 500; }
.grid { display: grid; gap: .75rem; margin: .75rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(15rem, 46%), 1fr)); }
.pair { display: grid; gap: .75rem; margin: .75rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)); }
.pair img, .grid img { width: 100%; }
.sheet { display: grid; gap: .25rem; margin: .25rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(20rem, 48%), 1fr)); }
.key span { display: inline-block; margin-right: 1rem; white-space: nowrap; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .35em;
  border: 1px solid #888; border-radius: 2px; }
"""
