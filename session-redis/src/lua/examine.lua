-- Reads a session that may be damaged. KEYS[1]: the session.
-- ARGV: 1 'packed' if it is expected to be that, or ''
-- Answers the hash of what is there, and that itself; nothing else if it is of another kind.
local content = content_of(KEYS[1], ARGV[1] ~= '')
if content == nil then
  return {hash_of(content)}
end
return {hash_of(content), content}
