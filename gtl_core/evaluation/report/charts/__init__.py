"""Charts as pure functions from numbers to SVG or HTML.

Horizontal positions are percentages, vertical ones pixels, so that a chart takes the width that it is given while its
letters keep their size: the same chart is read on a telephone, on a screen and on paper. Colours are classes of the
page's style sheet, which knows light and dark.
"""
