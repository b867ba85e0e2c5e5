"""The browser's window: a page that shows the picture drawn here, and sends back what is done to it."""
