"""Charts as pictures, drawn by a process of their own: only there is matplotlib, if anywhere."""
