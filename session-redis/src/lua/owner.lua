-- The principal that a session names, or nothing. KEYS[1]: the session.
-- ARGV: 1 'packed' if it is expected to be that, or ''
return look(KEYS[1], ARGV[1] ~= '').principal
