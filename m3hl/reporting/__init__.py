"""Tables, figures and the HTML page about a study.

`study` reads what runs have written, `sections` turn it into the page's parts, `page` puts them together.
"""
