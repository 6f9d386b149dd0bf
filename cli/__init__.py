"""The `podwright` command: one module per subcommand, found through the table in `cli.main`.

The two daemons of a pod's walk, `podwright control` and `podwright agent`, start here too.
"""
