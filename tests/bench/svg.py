"""A line chart as an SVG, without a library: logarithmic x, linear y from zero."""
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 360, 70, 150, 40, 50
COLOURS = ("#0b6e99", "#c0392b", "#27824a", "#8e5ea2")


def round_up(value):
    """The next 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def short(value):
    for limit, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{suffix}"
    return f"{value:g}"


def text(x, y, words, anchor="middle", size=12):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="{size}">'
            f"{words}</text>")


def line_chart(title, x_label, y_label, series):
    """`series`: {name: [(x, y), …]}"""
    xs = sorted({x for points in series.values() for x, _ in points})
    top = round_up(max(y for points in series.values() for _, y in points) or 1)
    low, high = math.log10(xs[0]), math.log10(xs[-1])
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    at_x = lambda x: LEFT + inner_width * ((math.log10(x) - low) / ((high - low) or 1))
    at_y = lambda y: TOP + inner_height * (1 - y / top)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
           f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           text(LEFT, 22, title, "start", 15), text(LEFT + inner_width / 2, HEIGHT - 10, x_label),
           text(LEFT - 8, TOP - 8, y_label, "start", 11)]
    for i in range(6):
        y = top * i / 5
        out.append(f'<line x1="{LEFT}" y1="{at_y(y):.1f}" x2="{WIDTH - RIGHT}" y2="{at_y(y):.1f}" '
                   'stroke="#ddd"/>')
        out.append(text(LEFT - 6, at_y(y) + 4, short(y), "end", 11))
    out += [text(at_x(x), HEIGHT - BOTTOM + 18, short(x), size=11) for x in xs]
    for colour, (name, points) in zip(COLOURS, series.items()):
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3" fill="{colour}"/>'
                for x, y in points]
        last = list(series).index(name)
        out.append(f'<text x="{WIDTH - RIGHT + 12}" y="{TOP + 20 + 18 * last}" font-size="12" '
                   f'fill="{colour}">{name}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"
