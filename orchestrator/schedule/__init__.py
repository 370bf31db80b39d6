"""The queue of runs and the daemon that starts them. Touches no instrument: runs are processes of their own.

``Refused``      a submission that cannot be: what does not fit its window, and by how much; nothing was queued
``NoSuchEntry``  an id that names no entry, or one that this cannot be done to
``QueueServed``  another daemon serves this queue
"""
