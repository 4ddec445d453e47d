"""The dashboard: pages over the Python client, nothing else.

In reading order: app (the frame of every page: menu, the moment that is looked at), pages (one file each), lake (the
client, and what is said when something is not there), shown (tables, exports, provenance), charts, shapes (the zones).
Numbers come from the API as they are shown; where there are none, the API's reason stands in their place.
"""
