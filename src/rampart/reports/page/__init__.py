"""The HTML report: one file for an evaluation, a run or a comparison, readable without a network.

It shows what the folders hold, with the functions of the text report, and computes nothing anew.
The templates and the script stand in `rampart/assets/page`, the plotting library in
`rampart/assets/vega`.
"""
