"""The token viewer: which expert takes each token? Its tables and tokens serve whoever shows a text's experts."""

from moe_lite.widgets.token_viewer.drawing import rail_html, token_html
from moe_lite.widgets.token_viewer.view import (
    MOST_EXPERTS,
    NONE,
    TokenRouting,
    assignment_table,
    checked_models,
    require_viewable,
    route_moved,
    watched,
)
from moe_lite.widgets.token_viewer.widget import TokenViewer
from moe_lite.widgets.token_viewer.words import ORDINALS, hundredths, named_choice

__all__ = [
    "MOST_EXPERTS",
    "NONE",
    "ORDINALS",
    "TokenRouting",
    "TokenViewer",
    "assignment_table",
    "checked_models",
    "hundredths",
    "named_choice",
    "rail_html",
    "require_viewable",
    "route_moved",
    "token_html",
    "watched",
]
