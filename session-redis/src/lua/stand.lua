-- How a session stands, for who mends the index of its principal. KEYS[1]: the session.
-- ARGV: 1 'packed' if it is expected to be that, or ''
-- Answers nothing for a mark. Otherwise the principal, 1 if it is on probation, when it expires and
-- its deadline. Without those two it is not there, or cannot be read.
local it = look(KEYS[1], ARGV[1] ~= '')
if is_mark(it) then
  return {}
end
local ends = it.epoch and string.format('%.0f', math.min(it.seen + it.idle, it.deadline))
local deadline = it.epoch and it.deadline
return {it.principal or false, it.probation and 1 or 0, ends or false, deadline or false}
