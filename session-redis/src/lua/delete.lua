-- Ends a session. KEYS[1]: the session. ARGV: 1 the principal that it must have, if any.
-- Answers how many sessions that were, and the principal.
local key = KEYS[1]
local principal = redis.pcall('HGET', key, 'p')
if type(principal) == 'table' then
  -- What is no hash has no principal; any other refusal is one of the whole.
  if not string.find(principal.err, 'WRONGTYPE', 1, true) then
    return principal
  end
  principal = false
end
if #ARGV > 0 and principal ~= ARGV[1] then
  return {0, principal}
end
return {redis.call('UNLINK', key), principal}
