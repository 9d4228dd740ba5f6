"""Pictures of executions, as SVG: a lane for each thread, a box for each step, arrows for what orders them."""

from __future__ import annotations

from html import escape

from refwasm.reports.documents.explorations import Arrow, Box, Picture

#: Pixels: a lane, a row, a box, and room above and at the left.
LANE, ROW, WIDTH, HEIGHT, TOP, LEFT = 270, 38, 236, 26, 40, 20


def draw(picture: Picture) -> str:
    """The picture as SVG."""
    lanes, boxes, arrows = picture.lanes, picture.boxes, picture.arrows
    rows = max((box.row for box in boxes), default=0) + 1
    width, height = LEFT + LANE * len(lanes) + 20, TOP + ROW * rows + 10
    parts = [
        f'<svg class="lanes" role="img" aria-label="{escape(picture.label, quote=True)}" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" xmlns="http://www.w3.org/2000/svg">',
        _MARKERS,
    ]  # fmt: skip
    for number, name in enumerate(lanes):
        x = LEFT + LANE * number + WIDTH // 2
        parts.append(f'<text class="lane" x="{x}" y="22" text-anchor="middle">{escape(name)}</text>')
        parts.append(f'<line class="lane" x1="{x}" y1="30" x2="{x}" y2="{height - 4}"/>')
    parts += [_box(box) for box in boxes]
    parts += [_arrow(boxes[arrow.start], boxes[arrow.end], arrow) for arrow in arrows]
    return "\n".join([*parts, "</svg>"])


_MARKERS = "".join(
    f'<defs><marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    f'<path class="{name}" d="M0 0 8 4 0 8z"/></marker></defs>'
    for name in ("rf", "sw", "hb")
)


def _place(box: Box) -> tuple[int, int]:
    return LEFT + LANE * box.lane, TOP + ROW * box.row


def _box(box: Box) -> str:
    x, y = _place(box)
    text = box.text if len(box.text) < 31 else box.text[:29] + "…"
    title = f"<title>{escape(box.title)}</title>" if box.title else ""
    return (
        f'<g class="box{" marked" if box.marked else ""}">{title}'
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
        f'<text x="{x + WIDTH // 2}" y="{y + 17}" text-anchor="middle">{escape(text)}</text>'
        "</g>"
    )


def _arrow(a: Box, b: Box, arrow: Arrow) -> str:
    kind = {"reads from": "rf", "synchronises": "sw"}.get(arrow.why, "hb")
    (x1, y1), (x2, y2) = _place(a), _place(b)
    if a.lane == b.lane:
        path = f"M{x1 + WIDTH} {y1 + HEIGHT // 2} q30 {(y2 - y1) // 2} 0 {y2 - y1}"
    else:
        right = b.lane > a.lane
        start, end = (x1 + WIDTH, x2) if right else (x1, x2 + WIDTH)
        bend = 20 if right else -20
        path = (
            f"M{start} {y1 + HEIGHT // 2} C{start + bend} {y1 + HEIGHT // 2} {end - bend} {y2 + HEIGHT // 2} "
            f"{end} {y2 + HEIGHT // 2}"
        )
    return f'<path class="arrow {kind}" d="{path}" marker-end="url(#{kind})"><title>{escape(arrow.why)}</title></path>'
