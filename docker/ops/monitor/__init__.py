"""One look at the whole stack, judged: facts are gathered, judged by a pure function, and shown in one of five forms.

In the order of the data: `look` gathers `facts` from the engine, the control groups, the site and the folders; `judge`
makes checks of them by `thresholds.toml`; `table`, `as_json`, `prometheus`, `line` and `notify` tell them.
"""
