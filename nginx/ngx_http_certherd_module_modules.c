
/*
 * What nginx's configure generates for a dynamic module: meson builds it from
 * here, nginx's own build makes its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>


extern ngx_module_t  ngx_http_certherd_module;

extern ngx_module_t  *ngx_modules[];
extern char          *ngx_module_names[];
extern char          *ngx_module_order[];


ngx_module_t *ngx_modules[] = {
    &ngx_http_certherd_module,
    NULL
};


char *ngx_module_names[] = {
    "ngx_http_certherd_module",
    NULL
};


/* Before the SSL module: placeholder.c has to come before it merges servers. */

char *ngx_module_order[] = {
    "ngx_http_certherd_module",
    "ngx_http_ssl_module",
    NULL
};
