-- Ends a session. KEYS[1]: the session. ARGV: 1 the principal that it must have, if any.
-- Answers how many sessions that were, and the principal.
local key = KEYS[1]
local principal = redis.pcall('HGET', key, 'p')
if type(principal) ~= 'string' then
  principal = false
end
if #ARGV > 0 and principal ~= ARGV[1] then
  return {0, principal}
end
return {redis.call('UNLINK', key), principal}
