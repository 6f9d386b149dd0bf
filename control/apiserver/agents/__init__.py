"""What happens inside containers is asked of the agent of their node: logs, exec, attach.

For whoever looks into a running pod, after step 5 of its walk. The API server finds the node's
address, proves who it is with a certificate of the cluster's CA, checks that the agent has one too,
and passes bytes on without looking at them.
"""
