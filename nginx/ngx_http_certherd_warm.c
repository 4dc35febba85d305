
/*
 * certherd_warm_up: a worker opens in advance the keys of the names that were
 * used most before it was started, one at a time between other events.  The
 * first worker writes their list now and then (edge/namelist.h).  What is read
 * is worth no more than a hint: which names there are, the replica says.
 */


#include "ngx_http_certherd_module.h"

#include "base/buf.h"
#include "edge/namelist.h"
#include "wire/record.h"


#define NGX_HTTP_CERTHERD_WARM_TICK     1     /* ms; for one name */
#define NGX_HTTP_CERTHERD_WARM_WAIT     1000  /* ms; for a replica */
#define NGX_HTTP_CERTHERD_LIST_TICK     5     /* ms */
#define NGX_HTTP_CERTHERD_LIST_BUCKETS  256   /* in a tick: some 50 us */


/* How often names were used lately, 0 to 15: those of the first step first. */
static const unsigned  ngx_http_certherd_steps[] = { 8, 4, 2, 0 };

#define NGX_HTTP_CERTHERD_STEPS                                               \
    (sizeof(ngx_http_certherd_steps) / sizeof(ngx_http_certherd_steps[0]))


static struct {
    ngx_event_t          timer;
    ngx_connection_t     dummy;
    u_char              *text;       /* what was read; NULL: nothing left */
    struct ch_namelist   list;       /* borrows it */
    ngx_uint_t           opened;
    unsigned             collecting:1;
    struct ch_buf        out;        /* what is collected */
    size_t               n;
    size_t               step;
    size_t               bucket;
    ngx_err_t            last_err;   /* what was logged last */
} ngx_http_certherd_warm;


static void
ngx_http_certherd_warm_ignore(ngx_log_t *log, ngx_err_t err, const char *why)
{
    /* Once is enough; all workers read the same. */

    if (ngx_worker == 0) {
        ngx_log_error(NGX_LOG_WARN, log, err,
                      "certherd: the list of names \"%V\" is ignored: %s",
                      &ngx_http_certherd_main_conf()->warm_up, why);
    }
}


/* NULL: it may be read, and has so many bytes. */

static const char *
ngx_http_certherd_warm_check(ngx_fd_t fd, size_t max, size_t *size)
{
    ngx_file_info_t  fi;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        return "it cannot be looked at";
    }

    if (!ngx_is_file(&fi)) {
        return "it is no file";
    }

    if ((fi.st_uid != geteuid() && fi.st_uid != 0)
        || (fi.st_mode & (S_IWGRP|S_IWOTH)))
    {
        return "others than nginx may write it";
    }

    if (ngx_file_size(&fi) > (off_t) max) {
        return "it is too large";
    }

    *size = (size_t) ngx_file_size(&fi);

    return NULL;
}


static const char *
ngx_http_certherd_warm_read(ngx_fd_t fd, size_t max, ngx_log_t *log)
{
    size_t       size;
    ssize_t      n;
    const char  *why;

    why = ngx_http_certherd_warm_check(fd, max, &size);
    if (why) {
        return why;
    }

    ngx_http_certherd_warm.text = ngx_alloc(size + 1, log);
    if (ngx_http_certherd_warm.text == NULL) {
        return "out of memory";
    }

    n = read(fd, ngx_http_certherd_warm.text, size);

    if (n != (ssize_t) size
        || ch_namelist_open((char *) ngx_http_certherd_warm.text, size,
                            &ngx_http_certherd_warm.list)
           != CH_OK)
    {
        ngx_free(ngx_http_certherd_warm.text);
        ngx_http_certherd_warm.text = NULL;
        return "it was not written by this module, or is cut";
    }

    return NULL;
}


static void
ngx_http_certherd_warm_load(ngx_http_certherd_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_fd_t     fd;
    const char  *why;

    fd = open((char *) mcf->warm_up.data,
              O_RDONLY|O_NONBLOCK|O_NOFOLLOW|O_CLOEXEC);

    if (fd == NGX_INVALID_FILE) {
        if (ngx_errno != NGX_ENOENT) {
            ngx_http_certherd_warm_ignore(log, ngx_errno, "it cannot be opened");
        }

        return;
    }

    why = ngx_http_certherd_warm_read(fd, CH_NAMELIST_B(mcf->warm_names), log);
    if (why) {
        ngx_http_certherd_warm_ignore(log, 0, why);
    }

    (void) ngx_close_file(fd);
}


static void
ngx_http_certherd_warm_loaded(ngx_log_t *log)
{
    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "certherd: %ui keys were opened in advance",
                  ngx_http_certherd_warm.opened);

    ngx_free(ngx_http_certherd_warm.text);
    ngx_http_certherd_warm.text = NULL;
}


/* One name of the list: NGX_OK there may be more, NGX_DONE. */

static ngx_int_t
ngx_http_certherd_warm_next(ngx_log_t *log)
{
    int                rc;
    size_t             len;
    ngx_int_t          opened;
    ngx_str_t          name;
    const char        *text;
    struct ch_record   record;

    rc = ch_namelist_next(&ngx_http_certherd_warm.list, &text, &len);

    if (rc == CH_EPROTO) {
        ngx_http_certherd_warm_ignore(log, 0, "what follows is no name");
    }

    if (rc != CH_OK
        || ngx_http_certherd_warm.list.taken
           > ngx_http_certherd_main_conf()->warm_names)
    {
        return NGX_DONE;
    }

    name.data = (u_char *) text;
    name.len = len;

    if (ngx_http_certherd_acquire(&name, &record, log) != NGX_OK) {
        return NGX_OK;
    }

    opened = ngx_http_certherd_cache_warm(&record);
    ngx_http_certherd_release();

    if (opened == NGX_OK) {
        ngx_http_certherd_warm.opened++;
    }

    return opened == NGX_BUSY ? NGX_DONE : NGX_OK;
}


/* In the place of the old list, so that whoever reads finds one or the other.
 * Nothing waits for the disk: a list that a crash of the machine has cut is
 * ignored, and the next one comes soon. */

static ngx_err_t
ngx_http_certherd_warm_replace(ngx_http_certherd_main_conf_t *mcf,
    struct ch_buf *out)
{
    char       *path, *made;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_err_t   err;

    path = (char *) mcf->warm_up.data;
    made = (char *) mcf->warm_new.data;

    (void) unlink(made);

    fd = open(made, O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC, 0600);
    if (fd == NGX_INVALID_FILE) {
        return ngx_errno;
    }

    n = write(fd, out->data, out->len);
    err = n == (ssize_t) out->len ? 0 : n < 0 ? ngx_errno : NGX_ENOSPC;

    if (ngx_close_file(fd) == NGX_FILE_ERROR && err == 0) {
        err = ngx_errno;
    }

    if (err == 0 && rename(made, path) == -1) {
        err = ngx_errno;
    }

    if (err) {
        (void) unlink(made);
    }

    return err;
}


static void
ngx_http_certherd_warm_write(ngx_log_t *log)
{
    ngx_err_t                       err;
    ngx_http_certherd_main_conf_t  *mcf;

    /* None is no news: nobody has come yet, or there is no replica. */

    if (ngx_http_certherd_warm.n == 0) {
        return;
    }

    mcf = ngx_http_certherd_main_conf();
    ch_namelist_end(&ngx_http_certherd_warm.out, ngx_http_certherd_warm.n);

    err = ngx_http_certherd_warm.out.rc ? NGX_ENOMEM
          : ngx_http_certherd_warm_replace(mcf, &ngx_http_certherd_warm.out);

    if (err && err != ngx_http_certherd_warm.last_err) {
        ngx_log_error(NGX_LOG_ERR, log, err,
                      "certherd: cannot write the list of names \"%V\"; its "
                      "folder must be writable by the workers' user",
                      &mcf->warm_up);
    }

    ngx_http_certherd_warm.last_err = err;
}


/* Some buckets: NGX_AGAIN, NGX_DONE. */

static ngx_int_t
ngx_http_certherd_warm_collect(void)
{
    size_t                          step;
    unsigned                        most;
    ngx_http_certherd_main_conf_t  *mcf;

    mcf = ngx_http_certherd_main_conf();
    step = ngx_http_certherd_warm.step;
    most = step ? ngx_http_certherd_steps[step - 1] - 1 : NGX_MAX_INT32_VALUE;

    if (ngx_http_certherd_cache_names(&ngx_http_certherd_warm.bucket,
                                      NGX_HTTP_CERTHERD_LIST_BUCKETS,
                                      ngx_http_certherd_steps[step], most,
                                      mcf->warm_names,
                                      &ngx_http_certherd_warm.out,
                                      &ngx_http_certherd_warm.n)
        == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    ngx_http_certherd_warm.bucket = 0;
    ngx_http_certherd_warm.step++;

    return ngx_http_certherd_warm.step == NGX_HTTP_CERTHERD_STEPS
           || ngx_http_certherd_warm.n == mcf->warm_names
           ? NGX_DONE : NGX_AGAIN;
}


static void
ngx_http_certherd_warm_list(ngx_event_t *ev)
{
    ngx_http_certherd_main_conf_t  *mcf;

    mcf = ngx_http_certherd_main_conf();

    if (!ngx_http_certherd_warm.collecting) {
        ngx_http_certherd_warm.collecting = 1;
        ngx_http_certherd_warm.n = 0;
        ngx_http_certherd_warm.step = 0;
        ngx_http_certherd_warm.bucket = 0;
        ch_buf_init(&ngx_http_certherd_warm.out,
                    CH_NAMELIST_B(mcf->warm_names));
        ch_namelist_begin(&ngx_http_certherd_warm.out);
    }

    if (ngx_http_certherd_warm_collect() == NGX_AGAIN) {
        ngx_add_timer(ev, NGX_HTTP_CERTHERD_LIST_TICK);
        return;
    }

    ngx_http_certherd_warm_write(ev->log);
    ch_buf_done(&ngx_http_certherd_warm.out);
    ngx_http_certherd_warm.collecting = 0;

    ngx_add_timer(ev, mcf->warm_every);
}


static void
ngx_http_certherd_warm_handler(ngx_event_t *ev)
{
    if (ngx_exiting) {
        return;
    }

    if (ngx_http_certherd_warm.text == NULL) {
        ngx_http_certherd_warm_list(ev);
        return;
    }

    if (!ngx_http_certherd_replica_is_open()) {
        ngx_add_timer(ev, NGX_HTTP_CERTHERD_WARM_WAIT);
        return;
    }

    if (ngx_http_certherd_warm_next(ev->log) == NGX_OK) {
        ngx_add_timer(ev, NGX_HTTP_CERTHERD_WARM_TICK);
        return;
    }

    ngx_http_certherd_warm_loaded(ev->log);

    if (ngx_worker == 0) {
        ngx_add_timer(ev, ngx_http_certherd_main_conf()->warm_every);
    }
}


void
ngx_http_certherd_warm_start(ngx_cycle_t *cycle,
    ngx_http_certherd_main_conf_t *mcf)
{
    ngx_event_t  *ev;

    if (mcf->warm_up.len == 0) {
        return;
    }

    ngx_http_certherd_warm_load(mcf, cycle->log);

    ev = &ngx_http_certherd_warm.timer;
    ev->handler = ngx_http_certherd_warm_handler;
    ev->log = cycle->log;
    ev->data = &ngx_http_certherd_warm.dummy;
    ev->cancelable = 1;
    ngx_http_certherd_warm.dummy.fd = (ngx_socket_t) -1;

    if (ngx_http_certherd_warm.text) {
        ngx_add_timer(ev, NGX_HTTP_CERTHERD_WARM_TICK);

    } else if (ngx_worker == 0) {
        ngx_add_timer(ev, mcf->warm_every);
    }
}


void
ngx_http_certherd_warm_stop(void)
{
    if (ngx_http_certherd_warm.timer.timer_set) {
        ngx_del_timer(&ngx_http_certherd_warm.timer);
    }

    ngx_free(ngx_http_certherd_warm.text);
    ngx_http_certherd_warm.text = NULL;

    if (ngx_http_certherd_warm.collecting) {
        ch_buf_done(&ngx_http_certherd_warm.out);
        ngx_http_certherd_warm.collecting = 0;
    }
}


static char *
ngx_http_certherd_warm_options(ngx_conf_t *cf,
    ngx_http_certherd_main_conf_t *mcf)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts > 2) {
        n = ngx_atoi(value[2].data, value[2].len);
        if (n < 1 || n > (ngx_int_t) CH_NAMELIST_MAX) {
            return "must name 1 to 100000 names";
        }

        mcf->warm_names = n;
    }

    if (cf->args->nelts > 3) {
        n = ngx_parse_time(&value[3], 0);
        if (n < 1000 || n > 24 * 3600 * 1000) {
            return "must be written every 1s to 1d";
        }

        mcf->warm_every = n;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_certherd_warm_up(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_certherd_main_conf_t  *mcf = conf;

    u_char     *p;
    ngx_str_t  *value;

    if (mcf->warm_up.len) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "is empty";
    }

    mcf->warm_up = value[1];
    mcf->warm_names = 10000;
    mcf->warm_every = 60 * 1000;

    if (ngx_conf_full_name(cf->cycle, &mcf->warm_up, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    p = ngx_pnalloc(cf->pool, mcf->warm_up.len + sizeof(".new"));
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->warm_new.data = p;
    mcf->warm_new.len = mcf->warm_up.len + sizeof(".new") - 1;
    p = ngx_cpymem(p, mcf->warm_up.data, mcf->warm_up.len);
    ngx_memcpy(p, ".new", sizeof(".new"));

    return ngx_http_certherd_warm_options(cf, mcf);
}
