-- Which node of a Cluster has which slots. No key.
-- ARGV: 1 any name
-- Answers what `CLUSTER SLOTS` does, or nothing if this is no Cluster. Redis calls that
-- `redis_mode`, and Valkey `server_mode`.
if string.find(redis.call('INFO', 'server'), '_mode:cluster', 1, true) then
  return redis.call('CLUSTER', 'SLOTS')
end
return {}
