-- Begins the scripts that know both layouts: a hash with `s`, `h`, `p` and `w`, and a text that
-- begins with a line of the same.

-- Nothing if the key holds something of another kind. Any other refusal is one of the whole script.
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) ~= 'table' or not reply.err then
    return reply
  end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then
    return redis.call(command, ...)
  end
end

local function look_at_fields(key)
  local old = try('HMGET', key, 's', 'h', 'p', 'w')
  if not old then
    return
  end
  local it = {fields = true, principal = old[3], probation = old[4]}
  it.absent = not old[1] and not old[2]
  it.content, it.version, it.seen = string.match(old[1] or '', '^((%d+) %x+ )(%d+) %d+ %d+$')
  if it.version then
    it.epoch, it.deadline, it.idle = string.match(old[2] or '', '^(%d+) (%d+) (%d+) %d+$')
  end
  return it
end

local function look_at_text(key)
  local text = try('GETRANGE', key, 0, 255)
  if not text then
    return
  end
  local it = {principal = false}
  local length, start
  it.probation, it.content, it.version, it.seen, it.epoch, it.deadline, it.idle, length, start =
    string.match(text, '^(%d+) ((%d+) %x+ )(%d+) (%d+) (%d+) (%d+) (%d*)\n()')
  it.absent = text == '' and redis.call('EXISTS', key) == 0
  if it.probation == '0' then
    it.probation = false
  end
  if not length or #length > 9 then
    it.epoch = nil
  elseif length ~= '' then
    local last = start + length - 1
    if last > #text then
      text = redis.call('GETRANGE', key, 0, last - 1)
    end
    it.principal = last <= #text and string.sub(text, start, last)
  end
  return it
end

-- Whether `content`, a version and perhaps a tag, is the one that is there.
local function is_content(it, content)
  return content ~= '' and string.sub(it.content, 1, #content) == content
end

-- What the scripts decide by. Without an `epoch` it cannot be read; `absent`: nothing there says
-- that it is a session. The layout that is expected is tried first.
local function look(key, packed)
  if packed then
    return look_at_text(key) or look_at_fields(key) or {}
  end
  return look_at_fields(key) or look_at_text(key) or {}
end

-- Whether it is a mark that a session has left. No session has such an epoch, and no damaged one
-- has all of this.
local function is_mark(it)
  local reason = it.epoch and it.epoch - 70368744177664
  return reason and reason >= 0 and reason < 65536
    and it.idle == '60000' and it.deadline - it.seen == 60000
end

-- Writes where nothing is, or a text where anything is. The arguments from `first` on are a text,
-- or fields, each followed by its value. `probation`: with which version one begins, or has begun.
-- Answers an error, or nothing.
local function put(key, first, ttl, probation)
  probation = probation and string.format('%.0f', probation)
  if first == #ARGV then
    local text = ARGV[first]
    redis.call('SET', key, probation and probation .. string.sub(text, 2) or text, 'PX', ttl)
    return
  end
  for from = first, #ARGV, 1000 do
    redis.call('HSET', key, unpack(ARGV, from, math.min(from + 999, #ARGV)))
  end
  if probation then
    redis.call('HSET', key, 'w', probation)
  end
  local kept = redis.pcall('PEXPIRE', key, ttl)
  if type(kept) == 'table' then
    -- It is not permitted, and what never expires is not to stay.
    redis.call('UNLINK', key)
    return kept
  end
end

