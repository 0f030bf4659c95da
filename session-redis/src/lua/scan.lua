-- Reads a page of the names of a server, and says which server it is: another one, or this one
-- after a restart, keeps its names in another order. No key: it reads none.
-- ARGV: 1 any name in the slots of the server, by which the call has found it
--       2 cursor
--       3 pattern of the names
--       4 count
-- Answers the server's id, the next cursor, and the names.
local page = redis.call('SCAN', ARGV[2], 'MATCH', ARGV[3], 'COUNT', ARGV[4])
local id = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
return {id or '', page[1], page[2]}
