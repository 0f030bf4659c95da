-- For a script that ends what cannot be read.

-- All that a key holds: a text, or fields and values. Nothing if it holds something of another
-- kind. The layout that is expected is tried first.
local function content_of(key, packed)
  local function as_text() return try('GET', key) end
  local function as_fields() return try('HGETALL', key) end
  local first, second = as_fields, as_text
  if packed then
    first, second = as_text, as_fields
  end
  local content = first()
  if content == nil then
    content = second()
  end
  return content
end

-- The same content has the same hash. The server may list fields in another order each time.
local function hash_of(content)
  if type(content) ~= 'table' then
    return redis.sha1hex(type(content) .. (content or ''))
  end
  local fields = {}
  for i = 1, #content, 2 do
    local name, value = content[i], content[i + 1]
    fields[#fields + 1] = #name .. ' ' .. #value .. ' ' .. name .. value
  end
  table.sort(fields)
  return redis.sha1hex('fields' .. table.concat(fields))
end
