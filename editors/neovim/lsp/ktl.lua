-- ktl-lsp for Neovim 0.11 and later: put this folder into 'runtimepath', then vim.lsp.enable('ktl').
--
-- The server does the work; here stand only the things that Neovim leaves to its configuration: where a workspace
-- begins, when lenses are asked for again, and one command, so that a run can be started without a lens.

-- The server's commands by the names that `:Ktl` takes.
local commands = {
  apply = 'ktl.apply',
  cancel = 'ktl.cancel',
  attach = 'ktl.attach',
  replay = 'ktl.openReplay',
  sessions = 'ktl.showSessions',
}

local function refresh_lenses(bufnr)
  if vim.api.nvim_buf_is_loaded(bufnr) then
    vim.lsp.codelens.refresh({ bufnr = bufnr })
  end
end

-- Neovim 0.12 asks for lenses itself once it is told to. Before that, nobody does.
local function keep_lenses_fresh(client, bufnr)
  if vim.lsp.codelens.enable then
    vim.lsp.codelens.enable(true, { bufnr = bufnr })
    return
  end
  local group = vim.api.nvim_create_augroup('ktl.lenses.' .. bufnr, { clear = true })
  vim.api.nvim_create_autocmd({ 'BufEnter', 'CursorHold', 'InsertLeave', 'BufWritePost' }, {
    group = group,
    buffer = bufnr,
    callback = function()
      refresh_lenses(bufnr)
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    buffer = bufnr,
    callback = function(event)
      if event.data.client_id == client.id then
        vim.api.nvim_del_augroup_by_id(group)
      end
    end,
  })
  refresh_lenses(bufnr)
end

-- `:Ktl apply [RELEASE]`, `:Ktl cancel`, … in the buffers that the server looks at.
local function add_command(client, bufnr)
  local function names(prefix)
    return vim.tbl_filter(function(name)
      return vim.startswith(name, prefix)
    end, vim.tbl_keys(commands))
  end
  vim.api.nvim_buf_create_user_command(bufnr, 'Ktl', function(call)
    local name, release = call.fargs[1], call.fargs[2]
    local command = commands[name]
    if not command then
      local known = names('')
      table.sort(known)
      vim.notify(('ktl: no command "%s"; known are %s'):format(name, table.concat(known, ', ')), vim.log.levels.ERROR)
      return
    end
    local argument = release and { release = release } or vim.empty_dict()
    client:exec_cmd({ title = 'ktl ' .. name, command = command, arguments = { argument } }, { bufnr = bufnr })
  end, { nargs = '+', complete = names, desc = 'Run a ktl command, for a release where one is named' })
end

---@type vim.lsp.Config
return {
  cmd = { 'ktl-lsp' },
  filetypes = { 'yaml', 'helm', 'gotmpl', 'yaml.helm-values' },
  root_markers = { '.ktl.yaml', 'stack.yaml', 'release.yaml', 'Chart.yaml' },
  -- Most YAML files belong to no release, and the server has nothing to say about them.
  workspace_required = true,
  capabilities = { workspace = { codeLens = { refreshSupport = true } } },
  handlers = {
    -- The server asks for this when a run starts or ends. Neovim 0.11 has no answer of its own.
    ['workspace/codeLens/refresh'] = not vim.lsp.codelens.enable and function(_, _, context)
      local client = vim.lsp.get_client_by_id(context.client_id)
      for bufnr in pairs(client and client.attached_buffers or {}) do
        refresh_lenses(bufnr)
      end
      return vim.NIL
    end or nil,
  },
  on_attach = function(client, bufnr)
    keep_lenses_fresh(client, bufnr)
    add_command(client, bufnr)
  end,
}
