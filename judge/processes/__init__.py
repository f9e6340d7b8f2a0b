"""L2: real host processes and real sockets, killed and stopped while they trade."""
