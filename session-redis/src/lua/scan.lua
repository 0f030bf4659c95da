-- Reads a page of the names of a server, and says which server it is: another one, or this one
-- after a restart, keeps its names in another order.
-- KEYS[1]: in a Cluster any name in a slot that the server should have. It is not read.
-- ARGV: 1 cursor
--       2 pattern of the names
--       3 count
-- Answers the server's id, the next cursor, the names, and in a Cluster what the server says of
-- itself: its slots, and which of them it is moving. Redis calls that `redis_mode`, and Valkey
-- `server_mode`.
local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2], 'COUNT', ARGV[3])
local info = redis.call('INFO', 'server')
local own = ''
if string.find(info, '_mode:cluster', 1, true) then
  own = string.match('\n' .. redis.call('CLUSTER', 'NODES'), '\n(%S+ %S+ %S*myself[^\r\n]*)') or '?'
end
return {string.match(info, 'run_id:(%w+)') or '', page[1], page[2], own}
