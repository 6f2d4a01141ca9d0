#!/bin/sh
# A CGI script that answers at once, and leaves something behind that takes longer.
( sleep 0.1 <&- >&- 2>&- & )
printf 'Content-Type: text/plain\n\nserved\n'
