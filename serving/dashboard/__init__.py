"""The dashboard: pages over the Python client, nothing else.

In reading order: app (the frame of every page: menu, the moment that is looked at), views (a file for each page), lake
(the client, and what is said when something is not there), shown (tables, exports, provenance), filters, charts, shapes
(of the zones). Numbers are the API's; where there are none, its reason stands in their place.

Streamlit would run the files of a folder named `pages` by itself, so there is none.
"""
