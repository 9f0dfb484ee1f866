#!/usr/bin/env bash
# Remakes what is made: the README's table and picture, the reference pages, the table of known answers.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet
quorate=target/release/quorate

for noun in language measures models patterns diagnostics; do
    "$quorate" reference "$noun" > "docs/$noun.md"
done

for scenario in latency_trap split_brain thundering_herd; do
    "$quorate" run "scenarios/$scenario.ron" > "outputs/.$scenario.txt" || test $? -le 3
done
"$quorate" validate scenarios/validation --markdown --seed 1 > outputs/.validation.txt
cp outputs/latency_trap/plots/latency_trap.png docs/pictures/latency_trap.png
cp outputs/split_brain/plots/divergence.png docs/pictures/divergence.png
cp outputs/thundering_herd/plots/arrivals.png docs/pictures/arrivals.png

# The first table of the answer, up to the expectations, goes between the markers.
python3 - <<'PYTHON'
import re
table = open("outputs/.latency_trap.txt").read().split("\n\nexpected")[0].rstrip()
readme = open("README.md").read()
block = "<!-- latency_trap -->\n```\n" + table + "\n```\n<!-- end -->"
open("README.md", "w").write(re.sub(r"<!-- latency_trap -->.*?<!-- end -->", lambda _: block, readme, flags=re.S))

rows = "".join(line + "\n" for line in open("outputs/.validation.txt").read().splitlines() if line.startswith("|"))
page = open("docs/validation.md").read()
head = page.index("| row | seed | expected |")
rest = page[head:].split("\n\n", 1)
open("docs/validation.md", "w").write(page[:head] + rows + ("\n" + rest[1] if len(rest) > 1 else ""))
PYTHON
rm -f outputs/.*.txt
