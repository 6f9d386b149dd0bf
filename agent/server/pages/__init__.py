"""What the agent's web server says of node and pods, page by page: each is made when it is asked for."""
